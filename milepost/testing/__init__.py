"""What it takes to test workflows: crashes everywhere, a clock to set, a recorder of effects, fixtures for pytest."""

from milepost.testing.clock import FakeClock as FakeClock
from milepost.testing.effects import Effect as Effect
from milepost.testing.effects import Effects as Effects
from milepost.testing.everywhere import crash_everywhere as crash_everywhere
from milepost.testing.findings import CrashFound as CrashFound
from milepost.testing.findings import CrashReport as CrashReport
from milepost.testing.lives import Life as Life
