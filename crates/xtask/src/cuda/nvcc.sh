#!/bin/sh
# nvcc as the kernels' build script calls it. What it would compile for one card's machine code is compiled to PTX instead, which the
# driver translates for that card and for every newer one.
for word do
    shift
    case $word in
        --ptx) ptx=1 ;;
    esac
    set -- "$@" "$word"
done
if [ -z "$ptx" ]; then
    for word do
        shift
        case $word in
            -gencode=arch=compute_*,code=sm_*) word=$(printf '%s' "$word" | sed 's/code=sm_/code=compute_/') ;;
        esac
        set -- "$@" "$word"
    done
fi
exec "$GRAFT_NVCC" "$@"
