#!/bin/sh
# Sourced before the emergency shell opens: what the agent did and why it stopped.

diskless status 2> /dev/null
