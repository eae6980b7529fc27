-- A store as Milepost wrote it at version 1: one run that completed, one that failed, one whose process was killed.
PRAGMA journal_mode=WAL;
PRAGMA application_id=1296649285;
PRAGMA user_version=1;
BEGIN TRANSACTION;
CREATE TABLE definitions (
    fingerprint TEXT PRIMARY KEY,
    description TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "definitions" VALUES('71055aa3a65ebf03c46c46c3c3d2ddcb','{"edges":[{"branch":0,"label":null,"source":"__start__","target":"start_each_double","type":"list[int]"},{"branch":0,"label":null,"source":"start_each_double","target":"double","type":"int"},{"branch":0,"label":null,"source":"double","target":"collect","type":"int"},{"branch":0,"label":null,"source":"collect","target":"note","type":"list[int]"},{"branch":0,"label":null,"source":"note","target":"check","type":"int"},{"branch":0,"label":null,"source":"check","target":"__end__","type":"int"}],"name":"tally","nodes":[{"doc":"","generated":false,"id":"__start__","input":"list[int]","kind":"start","label":null,"marks":[],"output":"list[int]","stream":false},{"doc":"","generated":true,"id":"start_each_double","input":"list[int]","kind":"map","label":null,"marks":[],"output":"int","stream":false},{"doc":"","generated":false,"id":"double","input":"int","kind":"function","label":null,"marks":[],"output":"int","stream":false},{"doc":"","generated":false,"id":"collect","input":"int","kind":"join","label":null,"marks":[],"output":"list[int]","stream":false},{"doc":"","generated":false,"id":"note","input":"list[int]","kind":"function","label":null,"marks":[],"output":"int","stream":false},{"doc":"","generated":false,"id":"check","input":"int","kind":"function","label":null,"marks":[],"output":"int","stream":false},{"doc":"","generated":false,"id":"__end__","input":"int","kind":"end","label":null,"marks":[],"output":"int","stream":false}],"version":1}');
CREATE TABLE inbox (
    run_id  TEXT NOT NULL,
    id      TEXT NOT NULL,
    kind    TEXT NOT NULL,
    payload TEXT NOT NULL,
    by      TEXT,
    at      REAL NOT NULL,
    PRIMARY KEY (run_id, id)
) WITHOUT ROWID;
INSERT INTO "inbox" VALUES('failed','m1','answer','[1]',NULL,1700000001.5);
INSERT INTO "inbox" VALUES('failed','m2','cancel','{}','Ann',1700000002.5);
CREATE TABLE openings (
    run_id TEXT NOT NULL,
    epoch  INTEGER NOT NULL,
    owner  TEXT NOT NULL,
    at     REAL NOT NULL,
    PRIMARY KEY (run_id, epoch)
) WITHOUT ROWID;
INSERT INTO "openings" VALUES('completed',1,'process 4711 on laptop (engine 9a501d30b0fa)',1.79527665724079966546e+09);
INSERT INTO "openings" VALUES('failed',1,'process 4711 on laptop (engine 5da785f489d1)',1.7952766572516744137e+09);
INSERT INTO "openings" VALUES('killed',1,'process 4711 on laptop (engine 938b1cd096d2)',1.79527665815273642542e+09);
CREATE TABLE records (
    run      INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    body     TEXT NOT NULL,
    content  TEXT NOT NULL,
    hash     TEXT NOT NULL,
    at       REAL NOT NULL,
    snapshot TEXT,
    PRIMARY KEY (run, seq)
);
INSERT INTO "records" VALUES(1,1,'{"kind":"started","task":"00000000000000000000000000000000","node":"__start__","ops":[["open","collect","c34c9d273ab2e4cee4e0eb1c9110b65f","start_each_double:0/collect"],["each","start_each_double",":","double",[1,0],3]],"patch":{"seen":[0,0,"[]"]},"given":"5aa3f36ece3daeaba0f6523c591ef13d"}','["input",[3,1,2]]','7aaa2e2c8d0228f5694dbb34713fe0f5',1.79527665724079966546e+09,NULL);
INSERT INTO "records" VALUES(1,2,'{"kind":"completed","task":"3c8f9958f62d7cd1b3ff39256b00fa40","node":"double","ops":[["item","collect","c34c9d273ab2e4cee4e0eb1c9110b65f","collect",[2,0]]],"timing":[1795276657.2433567,1795276657.2434242,1]}','["out:double",6]','e367a073548af8b28aec27778891bf3d',1.79527665724362587933e+09,NULL);
INSERT INTO "records" VALUES(1,3,'{"kind":"completed","task":"fd7a08bc116246ba0b7f22b93bfd5424","node":"double","ops":[["item","collect","c34c9d273ab2e4cee4e0eb1c9110b65f","collect",[3,0]]],"timing":[1795276657.2436707,1795276657.2436833,1]}','["out:double",2]','ed3ed84e7828ed9d80e7a616910c27b5',1.79527665724376249314e+09,NULL);
INSERT INTO "records" VALUES(1,4,'{"kind":"completed","task":"8368406aec2ef62ed1cc7a463c72da3b","node":"double","ops":[["item","collect","c34c9d273ab2e4cee4e0eb1c9110b65f","collect",[4,0]],["fire","collect","c34c9d273ab2e4cee4e0eb1c9110b65f","__start__"],["spawn","note",[4,1]]],"timing":[1795276657.2437847,1795276657.2437954,1]}','["out:double",4,"out:collect",[6,2,4]]','02600dac4e858c26c8f976f2996dffc8',1.79527665724392175667e+09,NULL);
INSERT INTO "records" VALUES(1,5,'{"kind":"completed","task":"bd734a9579ee050c292b5b63ac15ed12","node":"note","ops":[["spawn","check",[5,0]]],"patch":{"seen":[1,0,"2,4,6"]},"timing":[1795276657.2444007,1795276657.2444575,1]}','["out:note",12]','d2e2902646b419c10784769bbc9f89e7',1.79527665724461936947e+09,NULL);
INSERT INTO "records" VALUES(1,6,'{"kind":"completed","task":"a6a6ffd9de8d5e50644e35c64348be7c","node":"check","ops":[["finish","__end__",[6,0]]],"timing":[1795276657.2449143,1795276657.244949,1]}','["out:check",15]','abe19874139b0c660931bed4eeb5be02',1.7952766572450480461e+09,NULL);
INSERT INTO "records" VALUES(2,1,'{"kind":"started","task":"00000000000000000000000000000000","node":"__start__","ops":[["open","collect","c34c9d273ab2e4cee4e0eb1c9110b65f","start_each_double:0/collect"],["each","start_each_double",":","double",[1,0],3]],"patch":{"seen":[0,0,"[]"]},"given":"5aa3f36ece3daeaba0f6523c591ef13d"}','["input",[3,1,2]]','7aaa2e2c8d0228f5694dbb34713fe0f5',1.7952766572516744137e+09,NULL);
INSERT INTO "records" VALUES(2,2,'{"kind":"completed","task":"3c8f9958f62d7cd1b3ff39256b00fa40","node":"double","ops":[["item","collect","c34c9d273ab2e4cee4e0eb1c9110b65f","collect",[2,0]]],"timing":[1795276657.2535095,1795276657.2535498,1]}','["out:double",6]','8bcdb1457c6eb33302cccb0b9a491eaa',1.79527665725370502475e+09,NULL);
INSERT INTO "records" VALUES(2,3,'{"kind":"completed","task":"fd7a08bc116246ba0b7f22b93bfd5424","node":"double","ops":[["item","collect","c34c9d273ab2e4cee4e0eb1c9110b65f","collect",[3,0]]],"timing":[1795276657.25374,1795276657.253753,1]}','["out:double",2]','4c5be7c1fb774001ecc182801238969c',1.79527665725382375716e+09,NULL);
INSERT INTO "records" VALUES(2,4,'{"kind":"completed","task":"8368406aec2ef62ed1cc7a463c72da3b","node":"double","ops":[["item","collect","c34c9d273ab2e4cee4e0eb1c9110b65f","collect",[4,0]],["fire","collect","c34c9d273ab2e4cee4e0eb1c9110b65f","__start__"],["spawn","note",[4,1]]],"timing":[1795276657.2538493,1795276657.2538612,1]}','["out:double",4,"out:collect",[6,2,4]]','71b76f81f2b4893712205756a61e3eb8',1.79527665725398373605e+09,NULL);
INSERT INTO "records" VALUES(2,5,'{"kind":"completed","task":"bd734a9579ee050c292b5b63ac15ed12","node":"note","ops":[["spawn","check",[5,0]]],"patch":{"seen":[1,0,"2,4,6"]},"timing":[1795276657.2543662,1795276657.2544081,1]}','["out:note",12]','d738104a41511029e83ed5f315bc360a',1.79527665725455403324e+09,NULL);
INSERT INTO "records" VALUES(2,6,'{"kind":"failed","task":"a6a6ffd9de8d5e50644e35c64348be7c","node":"check","timing":[1795276657.2548616,1795276657.2548687,1],"error":"ValueError: too much"}','[]','e73968c387a16ceb3904c792032c846b',1.79527665725491476062e+09,NULL);
INSERT INTO "records" VALUES(3,1,'{"kind":"started","task":"00000000000000000000000000000000","node":"__start__","ops":[["open","collect","c34c9d273ab2e4cee4e0eb1c9110b65f","start_each_double:0/collect"],["each","start_each_double",":","double",[1,0],3]],"patch":{"seen":[0,0,"[]"]},"given":"5aa3f36ece3daeaba0f6523c591ef13d"}','["input",[3,1,2]]','7aaa2e2c8d0228f5694dbb34713fe0f5',1.79527665815273642542e+09,NULL);
INSERT INTO "records" VALUES(3,2,'{"kind":"completed","task":"3c8f9958f62d7cd1b3ff39256b00fa40","node":"double","ops":[["item","collect","c34c9d273ab2e4cee4e0eb1c9110b65f","collect",[2,0]]],"timing":[1795276658.1556623,1795276658.155713,1]}','["out:double",6]','93e0d8b0755e969e896ca264b5d7eeac',1.79527665815590596197e+09,NULL);
INSERT INTO "records" VALUES(3,3,'{"kind":"completed","task":"fd7a08bc116246ba0b7f22b93bfd5424","node":"double","ops":[["item","collect","c34c9d273ab2e4cee4e0eb1c9110b65f","collect",[3,0]]],"timing":[1795276658.15595,1795276658.1559625,1]}','["out:double",2]','d2b7a4d2fd1852bf02ced88f58be5dbf',1.79527665815603923796e+09,NULL);
INSERT INTO "records" VALUES(3,4,'{"kind":"completed","task":"8368406aec2ef62ed1cc7a463c72da3b","node":"double","ops":[["item","collect","c34c9d273ab2e4cee4e0eb1c9110b65f","collect",[4,0]],["fire","collect","c34c9d273ab2e4cee4e0eb1c9110b65f","__start__"],["spawn","note",[4,1]]],"timing":[1795276658.1560614,1795276658.1560717,1]}','["out:double",4,"out:collect",[6,2,4]]','08f8439bda83c8b0e98dfbfd8d65c2cd',1.79527665815619373321e+09,NULL);
INSERT INTO "records" VALUES(3,5,'{"kind":"completed","task":"bd734a9579ee050c292b5b63ac15ed12","node":"note","ops":[["spawn","check",[5,0]]],"patch":{"seen":[1,0,"2,4,6"]},"timing":[1795276658.1567066,1795276658.1567578,1]}','["out:note",12]','2b21ca44e5b2e00c6b040389182f0eac',1.79527665815691137313e+09,NULL);
CREATE TABLE runs (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id       TEXT NOT NULL UNIQUE,
    workflow     TEXT NOT NULL,
    version      INTEGER NOT NULL,
    fingerprint  TEXT NOT NULL REFERENCES definitions (fingerprint),
    status       TEXT NOT NULL,
    isolation    TEXT NOT NULL,
    created      REAL NOT NULL,
    updated      REAL NOT NULL,
    seq          INTEGER NOT NULL,
    hash         TEXT NOT NULL,
    snapshot_seq INTEGER NOT NULL,
    epoch        INTEGER NOT NULL,
    owner        TEXT,
    lock_file    TEXT,
    lease_until  REAL NOT NULL,
    takeovers    INTEGER NOT NULL,
    error        TEXT,
    output       TEXT
);
INSERT INTO "runs" VALUES(1,'completed','tally',1,'71055aa3a65ebf03c46c46c3c3d2ddcb','completed','task',1.79527665724079966546e+09,1.7952766572450480461e+09,6,'abe19874139b0c660931bed4eeb5be02',0,1,NULL,NULL,1795276687.242,0,NULL,'15');
INSERT INTO "runs" VALUES(2,'failed','tally',1,'71055aa3a65ebf03c46c46c3c3d2ddcb','failed','task',1.7952766572516744137e+09,1.79527665725491476062e+09,6,'e73968c387a16ceb3904c792032c846b',0,1,NULL,NULL,1.79527668725201821329e+09,0,'ValueError: too much',NULL);
INSERT INTO "runs" VALUES(3,'killed','tally',1,'71055aa3a65ebf03c46c46c3c3d2ddcb','running','task',1.79527665815273642542e+09,1.79527665815691137313e+09,5,'2b21ca44e5b2e00c6b040389182f0eac',0,1,'process 4711 on laptop (engine 938b1cd096d2)','v1.db-owner-938b1cd096d2.lock',1.7952766881540048122e+09,0,NULL,NULL);
CREATE INDEX runs_by_time ON runs (created);
CREATE VIEW journal AS
SELECT run_id, records.seq AS seq, body, content, records.hash AS hash, at, snapshot
FROM runs JOIN records ON run = number;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('runs',3);
COMMIT;
