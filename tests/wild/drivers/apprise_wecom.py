"""Drives Apprise's WeCom robot against a sandbox. Its address is a constant of the class, which is readdressed."""

import json
import os
import sys

import apprise
from apprise.plugins.wecombot import NotifyWeComBot

KEY = os.environ["KEY"]
NotifyWeComBot.notify_url = f"{os.environ['BASE']}/cgi-bin/webhook/send?key={{key}}"


def report(name, value=True):
    sys.stdout.write(f"REPORT {json.dumps({'name': name, 'value': value})}\n")
    sys.stdout.flush()


robot = apprise.Apprise()
robot.add(f"wecombot://{KEY}")
report("sent", bool(robot.notify(title="Backup", body="备份完成：3 个文件")))
long = apprise.Apprise()
long.add(f"wecombot://{KEY}")
report("long", bool(long.notify(body="line of text\n" * 400)))
report("done")
