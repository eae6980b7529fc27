-- A store as Milepost wrote it at version 4: a run that completed, one that waits, a fork, one whose process was killed.
PRAGMA journal_mode=WAL;
PRAGMA application_id=1296649285;
PRAGMA user_version=4;
BEGIN TRANSACTION;
CREATE TABLE cache (
    key     TEXT PRIMARY KEY,
    value   TEXT NOT NULL,
    expires REAL
, crc INTEGER);
CREATE TABLE definitions (
    fingerprint TEXT PRIMARY KEY,
    description TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "definitions" VALUES('03096de4de550ce0c907e3d09aac0071','{"edges":[{"branch":0,"error":false,"label":null,"source":"__start__","target":"prepare","type":"int"},{"branch":0,"error":false,"label":null,"source":"prepare","target":"guess","type":"int"},{"branch":0,"error":false,"label":null,"source":"guess","target":"judge","type":"int"},{"branch":0,"error":false,"label":null,"source":"judge","target":"total","type":"int"},{"branch":0,"error":false,"label":null,"source":"total","target":"__end__","type":"int"}],"name":"quiz","nodes":[{"child":null,"doc":"","generated":false,"id":"__start__","input":"int","kind":"start","label":null,"marks":[],"output":"int","stream":false,"waits":"","workflow":""},{"child":null,"doc":"","generated":false,"id":"prepare","input":"int","kind":"function","label":null,"marks":[],"output":"int","stream":false,"waits":"","workflow":""},{"child":null,"doc":"","generated":false,"id":"guess","input":"int","kind":"ask","label":null,"marks":[],"output":"int","stream":false,"waits":"","workflow":""},{"child":null,"doc":"","generated":false,"id":"judge","input":"int","kind":"function","label":null,"marks":[],"output":"int","stream":false,"waits":"","workflow":""},{"child":null,"doc":"","generated":false,"id":"total","input":"int","kind":"function","label":null,"marks":[],"output":"int","stream":false,"waits":"","workflow":""},{"child":null,"doc":"","generated":false,"id":"__end__","input":"int","kind":"end","label":null,"marks":[],"output":"int","stream":false,"waits":"","workflow":""}],"version":1}');
CREATE TABLE inbox (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id  TEXT NOT NULL,
    id      TEXT NOT NULL,
    kind    TEXT NOT NULL,
    payload TEXT NOT NULL,
    by      TEXT,
    at      REAL NOT NULL,
    taken   INTEGER, crc INTEGER,
    UNIQUE (run_id, id)
);
INSERT INTO "inbox" VALUES(1,'answered','answer 9cc026f80973112c 1795910997.867768 0','answer','',NULL,1.79591099791591215129e+09,4,1414084892);
INSERT INTO "inbox" VALUES(2,'killed','answer f4e4e7ae869dfb7d 1795910999.049565 0','answer','',NULL,1.79591099910030603404e+09,4,2020904691);
CREATE TABLE openings (
    run_id TEXT NOT NULL,
    epoch  INTEGER NOT NULL,
    owner  TEXT NOT NULL,
    at     REAL NOT NULL, crc INTEGER,
    PRIMARY KEY (run_id, epoch)
) WITHOUT ROWID;
INSERT INTO "openings" VALUES('answered',1,'process 13739 on laptop (engine 4f3e21fa08ad)',1.79591099785055255885e+09,2731326836);
INSERT INTO "openings" VALUES('answered',2,'process 13739 on laptop (engine 4f3e21fa08ad)',1.79591099791975665088e+09,4049755295);
INSERT INTO "openings" VALUES('asked',1,'process 13739 on laptop (engine 4f3e21fa08ad)',1.79591099794044446943e+09,2951125485);
INSERT INTO "openings" VALUES('fork',1,'process 13739 on laptop (engine 4f3e21fa08ad)',1.79591099800516033175e+09,1049768903);
INSERT INTO "openings" VALUES('killed',1,'process 13751 on laptop (engine 9d3e48cb6b88)',1.79591099903467869757e+09,2599392216);
INSERT INTO "openings" VALUES('killed',2,'process 13751 on laptop (engine 9d3e48cb6b88)',1.79591099910132980348e+09,275221658);
CREATE TABLE records (
    run      INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    body     TEXT NOT NULL,
    content  TEXT NOT NULL,
    hash     TEXT NOT NULL,
    at       REAL NOT NULL,
    snapshot TEXT, crc INTEGER,
    PRIMARY KEY (run, seq)
);
INSERT INTO "records" VALUES(1,1,'{"kind":"started","task":"00000000000000000000000000000000","node":"__start__","ops":[["spawn","prepare",[1,0]]],"patch":{"seen":[0,0,"[]"]},"given":"5aa3f36ece3daeaba0f6523c591ef13d","revision":{"definition":"03096de4de550ce0c907e3d09aac0071"}}','["input",3]','cf82a031cf1e940acdd7238d20f1c97b',1.79591099785055255885e+09,NULL,3371578097);
INSERT INTO "records" VALUES(1,2,'{"kind":"completed","task":"9bddbfda1ad77a3b22288c53c2e54162","node":"prepare","ops":[["spawn","guess",[2,0]]],"patch":{"seen":[1,0,"3"]},"timing":[1795910997.8644037,1795910997.8644476,1]}','["out:prepare",4]','8bc0ca483b5b107d5d402876ec7d0e34',1.79591099786466479306e+09,NULL,190756175);
INSERT INTO "records" VALUES(1,3,'{"kind":"asked","task":"4e2be9ac15942a28063d1a53a71a46cb","node":"guess","waiting":[1795910997.8677676,{"id":"9cc026f80973112c","kind":"ask","text":"More than 4?","schema":"{\"type\":\"integer\"}"}],"rests":null}','[]','6af9bf888682e1e62d9e81e462cf9783',1.79591099786784625051e+09,NULL,3406101853);
INSERT INTO "records" VALUES(1,4,'{"kind":"completed","task":"4e2be9ac15942a28063d1a53a71a46cb","node":"guess","ops":[["spawn","judge",[4,0]]],"timing":[1795910997.8677676,1795910997.9281952,1],"settled":["9cc026f80973112c","answered",null,1795910997.9159122,""]}','["out:guess",8]','ec2a6c765a5153ce8d7023381f4b7870',1.79591099792830133441e+09,NULL,496971348);
INSERT INTO "records" VALUES(1,5,'{"kind":"completed","task":"acd3a09489e65d9191ca2698929e661c","node":"judge","ops":[["spawn","total",[5,0]]],"patch":{"seen":[2,0,",8"]},"timing":[1795910997.9313517,1795910997.9313927,1]}','["out:judge",8]','1dbd07679c058e7bdd777fb4b57a4d40',1.79591099793158841127e+09,NULL,810190423);
INSERT INTO "records" VALUES(1,6,'{"kind":"completed","task":"8c899701dac5f26de8348f7994b8f480","node":"total","ops":[["finish","__end__",[6,0]]],"timing":[1795910997.9353206,1795910997.9353554,1]}','["out:total",11]','90bd8f2414b29ac3519e2734c0ce8ac3',1.79591099793550419802e+09,NULL,1152725477);
INSERT INTO "records" VALUES(2,1,'{"kind":"started","task":"00000000000000000000000000000000","node":"__start__","ops":[["spawn","prepare",[1,0]]],"patch":{"seen":[0,0,"[]"]},"given":"5aa3f36ece3daeaba0f6523c591ef13d","revision":{"definition":"03096de4de550ce0c907e3d09aac0071"}}','["input",3]','cf82a031cf1e940acdd7238d20f1c97b',1.79591099794044446943e+09,NULL,3555725710);
INSERT INTO "records" VALUES(2,2,'{"kind":"completed","task":"9bddbfda1ad77a3b22288c53c2e54162","node":"prepare","ops":[["spawn","guess",[2,0]]],"patch":{"seen":[1,0,"3"]},"timing":[1795910997.947813,1795910997.9478498,1]}','["out:prepare",4]','b5047068b4eb7c245c745a68cad5ac83',1.79591099794800877569e+09,NULL,924393603);
INSERT INTO "records" VALUES(2,3,'{"kind":"asked","task":"4e2be9ac15942a28063d1a53a71a46cb","node":"guess","waiting":[1795910997.9513798,{"id":"e5d716415c1f0ea3","kind":"ask","text":"More than 4?","schema":"{\"type\":\"integer\"}"}],"rests":null}','[]','712613ed53606f6e84a249e1f1392482',1.79591099795145249366e+09,NULL,2089424307);
INSERT INTO "records" VALUES(3,5,'{"kind":"forked","task":"","revision":{"definition":"03096de4de550ce0c907e3d09aac0071","from":["answered",4],"run":"fork"}}','[]','07e7ca524c629e90e5bb6803e6bab898',1.79591099800516033175e+09,NULL,3189865260);
INSERT INTO "records" VALUES(3,6,'{"kind":"completed","task":"acd3a09489e65d9191ca2698929e661c","node":"judge","ops":[["spawn","total",[6,0]]],"patch":{"seen":[2,0,",8"]},"timing":[1795910998.0164409,1795910998.0164766,1]}','["out:judge",8]','6e6658e73aaa23636d89978d44d4c6c1',1.79591099801662230492e+09,NULL,3330937056);
INSERT INTO "records" VALUES(3,7,'{"kind":"completed","task":"8c899701dac5f26de8348f7994b8f480","node":"total","ops":[["finish","__end__",[7,0]]],"timing":[1795910998.0172184,1795910998.0172422,1]}','["out:total",11]','c1a1a01f2075680f1705304793a9247f',1.79591099801733732228e+09,NULL,2934008918);
INSERT INTO "records" VALUES(4,1,'{"kind":"started","task":"00000000000000000000000000000000","node":"__start__","ops":[["spawn","prepare",[1,0]]],"patch":{"seen":[0,0,"[]"]},"given":"5aa3f36ece3daeaba0f6523c591ef13d","revision":{"definition":"03096de4de550ce0c907e3d09aac0071"}}','["input",5]','a2e1247e579899ea8371d9a177755c43',1.79591099903467869757e+09,NULL,3897315635);
INSERT INTO "records" VALUES(4,2,'{"kind":"completed","task":"9bddbfda1ad77a3b22288c53c2e54162","node":"prepare","ops":[["spawn","guess",[2,0]]],"patch":{"seen":[1,0,"5"]},"timing":[1795910999.0482373,1795910999.0482833,1]}','["out:prepare",6]','6e7ed688016889180de0e122a774c72d',1.79591099904851913453e+09,NULL,1563929819);
INSERT INTO "records" VALUES(4,3,'{"kind":"asked","task":"4e2be9ac15942a28063d1a53a71a46cb","node":"guess","waiting":[1795910999.0495646,{"id":"f4e4e7ae869dfb7d","kind":"ask","text":"More than 6?","schema":"{\"type\":\"integer\"}"}],"rests":null}','[]','11ccde871a09b6b457bf0188812e85fb',1.79591099904964661597e+09,NULL,1901360851);
INSERT INTO "records" VALUES(4,4,'{"kind":"completed","task":"4e2be9ac15942a28063d1a53a71a46cb","node":"guess","ops":[["spawn","judge",[4,0]]],"timing":[1795910999.0495646,1795910999.1065702,1],"settled":["f4e4e7ae869dfb7d","answered",null,1795910999.100306,""]}','["out:guess",9]','2fa93a532b332474426af9f22f21f83a',1.79591099910667777064e+09,NULL,264890017);
INSERT INTO "records" VALUES(4,5,'{"kind":"completed","task":"acd3a09489e65d9191ca2698929e661c","node":"judge","ops":[["spawn","total",[5,0]]],"patch":{"seen":[2,0,",9"]},"timing":[1795910999.1079686,1795910999.1080053,1]}','["out:judge",9]','08f10d733ae608438c2fb21d3a49a6f7',1.79591099910816359526e+09,NULL,547770645);
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
, parent_run TEXT, parent_task TEXT, crc INTEGER, mark TEXT, forked_from TEXT, forked_at INTEGER NOT NULL DEFAULT 0, tags TEXT, tags_crc INTEGER, due REAL, due_mark TEXT);
INSERT INTO "runs" VALUES(1,'answered','quiz',1,'03096de4de550ce0c907e3d09aac0071','completed','task',1.79591099785055255885e+09,1.79591099793550419802e+09,6,'90bd8f2414b29ac3519e2734c0ce8ac3',0,2,NULL,NULL,1.79591102791898584367e+09,0,NULL,'11',NULL,NULL,1671314145,'6:3714306065',NULL,0,NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES(2,'asked','quiz',1,'03096de4de550ce0c907e3d09aac0071','waiting','task',1.79591099794044446943e+09,1.79591099795145249366e+09,3,'712613ed53606f6e84a249e1f1392482',0,1,NULL,NULL,1.79591102794300508504e+09,0,NULL,NULL,NULL,NULL,4216720001,'3:3539800807',NULL,0,'["nightly"]',3834804735,NULL,NULL);
INSERT INTO "runs" VALUES(3,'fork','quiz',1,'03096de4de550ce0c907e3d09aac0071','completed','task',1.79591099800516033175e+09,1.79591099801733732228e+09,7,'c1a1a01f2075680f1705304793a9247f',0,1,NULL,NULL,1.79591102800500416756e+09,0,NULL,'11',NULL,NULL,4098765986,'7:2018248121','answered',4,NULL,NULL,NULL,NULL);
INSERT INTO "runs" VALUES(4,'killed','quiz',1,'03096de4de550ce0c907e3d09aac0071','running','task',1.79591099903467869757e+09,1.79591099910816359526e+09,5,'08f10d733ae608438c2fb21d3a49a6f7',0,2,'process 13751 on laptop (engine 9d3e48cb6b88)','v4.db-owner-d85f6f1a4733.lock',1.79591102910300683972e+09,0,NULL,NULL,NULL,NULL,1997928092,'5:2610736999',NULL,0,NULL,NULL,NULL,NULL);
CREATE TABLE tags (
    tag TEXT NOT NULL,
    run INTEGER NOT NULL,
    PRIMARY KEY (tag, run)
) WITHOUT ROWID;
INSERT INTO "tags" VALUES('nightly',2);
CREATE INDEX runs_by_time ON runs (created);
CREATE VIEW journal AS
SELECT run_id, records.seq AS seq, body, content, records.hash AS hash, at, snapshot
FROM runs JOIN records ON run = number;
CREATE INDEX runs_by_parent ON runs (parent_run) WHERE parent_run IS NOT NULL;
CREATE INDEX inbox_waiting ON inbox (number) WHERE taken IS NULL;
CREATE INDEX inbox_waiting_by_run ON inbox (run_id) WHERE taken IS NULL;
CREATE INDEX cache_by_expiry ON cache (expires) WHERE expires IS NOT NULL;
CREATE INDEX runs_by_fork ON runs (forked_from) WHERE forked_from IS NOT NULL;
CREATE INDEX runs_by_status ON runs (status, created, workflow, parent_run);
CREATE INDEX runs_by_owner ON runs (owner) WHERE owner IS NOT NULL;
CREATE INDEX runs_by_due ON runs (due) WHERE due IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('inbox',2);
INSERT INTO "sqlite_sequence" VALUES('runs',4);
COMMIT;
