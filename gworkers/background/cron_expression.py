"""Cron expressions. cronsim, an optional dependency, evaluates them."""
from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timezone, tzinfo
from math import inf
from time import time
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from gworkers.background.extra import import_extra
from gworkers.background.triggers import Source, Step

if TYPE_CHECKING:
    from gworkers.background.scheduler import Scheduler

#: Seconds by which the clock may be set back before times that come again are new ones.
SET_BACK = 60.0
#: The most times that are examined to find the last one that has passed.
PASSED = 1000
#: The system's time zone.
LOCAL_ZONE = "/etc/localtime"


@dataclass(frozen=True)
class Cron:
    """Starts a handler at the times of an expression, in a time zone."""

    expression: str
    zone: tzinfo
    kind = "cron"
    use = "cron"
    parameters = 0
    queues = False

    def __post_init__(self) -> None:
        cronsim = import_extra("cronsim", "background.cron")
        try:
            next(cronsim.CronSim(self.expression, datetime.now(self.zone)))
        except (cronsim.CronSimError, AttributeError) as error:
            raise ValueError(f"the cron expression {self.expression!r} is invalid: {error}. Use five fields, such as "
                             f"\"*/5 * * * *\", or six with the seconds first") from None
        except StopIteration:
            raise ValueError(f"the cron expression {self.expression!r} matches no time in the next 50 years") from None

    def source(self, scheduler: Scheduler) -> Source:
        """Return the times of the expression."""
        return CronTimes(self)


class CronTimes:
    """The times of a cron expression, as Unix times. ``last`` is the last one that has passed.

    :param cron: the expression and its time zone
    """

    def __init__(self, cron: Cron) -> None:
        self._cron = cron
        self._cronsim: Any = import_extra("cronsim", "background.cron")
        #: a time, and the next one after it
        self._next = (-inf, -inf)

    def first(self) -> float:
        """Return the present time."""
        return time()

    def step(self, last: float) -> Step:
        """Return the times since *last* as one."""
        now = time()
        if last - now > SET_BACK:
            last = now
        following = self._after(last)
        if following > now:
            return Step(last, wait=following - now)
        for _ in range(PASSED):
            last, following = following, self._after(following)
            if following > now:
                return Step(last, is_due=True)
        return Step(now, is_due=True)

    def close(self) -> None:
        """Do nothing."""

    def _after(self, moment: float) -> float:
        """Return the first time after *moment*."""
        if self._next[0] != moment:
            times = self._cronsim.CronSim(self._cron.expression, datetime.fromtimestamp(moment, self._cron.zone))
            # When the clocks go back, cronsim may return a time of the first hour while the second one passes.
            following = next((found for found in (each.timestamp() for each in times) if found > moment), inf)
            self._next = moment, following
        return self._next[1]


def zone_of(zone: str | tzinfo | None) -> tzinfo:
    """Return the time zone *zone*; None: the local one, which ``TZ`` or the system names.

    :raises ValueError: if it is unknown
    """
    if isinstance(zone, tzinfo):
        return zone
    name = os.environ.get("TZ", "").lstrip(":") if zone is None else zone
    if not isinstance(name, str):
        raise TypeError(f"tz must be the name of a time zone or a tzinfo object, not {zone!r}")
    try:
        if name.startswith("/") or (zone is None and not name and os.path.exists(LOCAL_ZONE)):
            with open(name or LOCAL_ZONE, "rb") as file:
                return ZoneInfo.from_file(file)
        return ZoneInfo(name) if name else timezone.utc
    except (KeyError, ValueError, OSError):
        # ZoneInfoNotFoundError is a KeyError.
        raise ValueError(f"the time zone {name!r} is unknown. Pass a name such as tz=\"Europe/Berlin\". If the system "
                         f"has no time zones: pip install tzdata") from None
