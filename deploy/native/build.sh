#!/bin/sh
# Builds the pinned xllamacpp from its sources on the package index, with the instructions that this
# machine's processor has, and installs it in place of the wheel.
#
# LLGuidance, which is Rust, is linked from its own wheel, beside which the library is installed. The
# sources also make programs; nobody runs them, so they may lack its symbols.
set -eu
[ "$(uname)" = Linux ] || { echo "llama.cpp is built so on Linux alone." >&2; exit 1; }
python=$(realpath -s "${1:-.venv/bin/python}")
cd "$(dirname "$0")"
for program in cmake c++; do
    command -v $program >/dev/null || { echo "$program is needed to build llama.cpp, and is not here." >&2; exit 1; }
done
guidance=$("$python" -c 'import importlib.util as util; print(util.find_spec("llguidance").submodule_search_locations[0])')
export CMAKE_ARGS="-DLLAMA_LLGUIDANCE=OFF -DLLAMA_BUILD_BORINGSSL=OFF -DLLAMA_BUILD_UI=OFF
    -DCMAKE_EXE_LINKER_FLAGS=-Wl,--unresolved-symbols=ignore-all"
export CXXFLAGS="-DLLAMA_USE_LLGUIDANCE -I$PWD -include $PWD/tiles.h"
export LDSHARED="c++ -shared -L$guidance -Wl,--no-as-needed -l:_lib.abi3.so -Wl,-rpath,\$ORIGIN/../llguidance"
export LDCXXSHARED="$LDSHARED"
"$python" -m pip install -qq --disable-pip-version-check --force-reinstall --no-deps --no-cache-dir \
    --no-binary xllamacpp "$(grep -o '^xllamacpp==[^ ]*' ../../requirements-cpu.txt)"
