"""Run the fuzz test with any number of cases: ``python -m tests.fuzz --cases 1000000 --seed 1``."""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .campaign import Campaign, differ, shorten, verdict_line
from .cases import make_case
from .verdicts import gworkers_verdict, warm_parser


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=10000, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, metavar="INDEX", help="index of the first one (default: 0)")
    parser.add_argument("--dump", type=Path, metavar="FILE", help="only write the verdict on each case, one to a line")
    parser.add_argument("--against", type=Path, metavar="FILE",
                        help="only compare with verdicts that --dump wrote with the same seed under another release")
    args = parser.parse_args()
    indices = range(args.first, args.first + args.cases)
    if args.dump:
        args.dump.write_text("".join(f"{verdict_line(args.seed, index)}\n" for index in indices))
        return 0
    if args.against:
        return compare(args.seed, indices, args.against.read_text().splitlines())
    campaign = Campaign()
    for start in range(indices.start, indices.stop, 50000):
        campaign.run(args.seed, range(start, min(start + 50000, indices.stop)))
        sys.stderr.write(f"\r{campaign.cases} cases, {campaign.disagreeing} disagreements")
    sys.stderr.write("\n")
    for found in campaign.found:
        say(found + "\n")
    say(campaign.summary())
    return 1 if campaign.disagreeing else 0


def compare(seed: int, indices: range, expected: list[str]) -> int:
    different = other_status = 0
    for index, line in zip(indices, expected):
        found = verdict_line(seed, index)
        if differ(found, line):
            different += 1
            if different <= 20:
                case = make_case(seed, index)
                say(shorten(f"--seed {seed} --first {index}: {found}, expected {line}\n{case!r}\n"
                            f"{gworkers_verdict(case, [case.data], warm_parser(case.settings))}\n"))
        elif found != line and found.isdigit():
            other_status += 1
    say(f"{len(expected)} verdicts: {different} different, {other_status} refused for another of several faults")
    return 1 if different else 0


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
