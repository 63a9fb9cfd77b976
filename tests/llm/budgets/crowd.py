"""One of several processes that all want the same small budget at once; prints how many calls passed.

    crowd.py REDIS_URL THREADS

Each call reserves one token of ten, keeps it until the others have asked too, and settles it.
"""

import sys
import threading

from obskit.budgets import BudgetExceededError, Budgets, Limits, RedisStore

url, calls = sys.argv[1], int(sys.argv[2])
budgets = Budgets({"small": Limits(daily_tokens=10)}, store=RedisStore(url), timeout="60s", when_down="closed")
passed: list[object] = []


def call() -> None:
    try:
        passed.append(budgets.reserve(user="a", tokens=1))
    except BudgetExceededError:
        return


threads = [threading.Thread(target=call) for _ in range(calls)]
print("ready", flush=True)
sys.stdin.readline()
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(passed), flush=True)
if sys.stdin.readline() == "settle\n":
    for hold in passed:
        hold.settle()
