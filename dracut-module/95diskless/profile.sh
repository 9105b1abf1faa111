#!/bin/sh
# Sourced by shells in the initramfs, on the console and by ssh: a prompt that says node, step and error code, and a
# greeting that says the cause and what to do next.

# dracut's emergency shell inherits it: that is none that reads this file itself.
# shellcheck disable=SC2016 # for the prompt to expand
export PS1='$(diskless status --prompt 2> /dev/null)# '
case $- in
    *i*)
        diskless status --short 2> /dev/null
        [ -z "${BASH_VERSION-}" ] || eval "$(diskless completion bash)"
        ;;
esac
