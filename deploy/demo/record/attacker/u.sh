#!/bin/sh
# Stands for what an intruder would bring along; it only looks around.
id
uname -a
