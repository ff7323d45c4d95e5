#!/bin/sh
# Wraps nvcc for candle's build script. It compiles to PTX instead of the machine code of one GPU; the
# driver translates PTX for that GPU and for every newer one.
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
