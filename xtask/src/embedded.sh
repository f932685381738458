#!/usr/bin/env bash
# Fills the folder $1 with what the emulated machines need: Debian's own rustc with the source of its library (core for bare metal is built
# from it), a ready aarch64 library, and QEMU. Nothing outside the folder changes and no root is needed.
# Wants Debian 12 with its usual and security sources.
set -euo pipefail
folder=$1
new=$folder.new
rm -rf "$new"
mkdir -p "$new"/apt/lists/partial "$new"/apt/cache/archives/partial "$new"/debs "$new"/root "$new"/bin
new=$(cd "$new" && pwd)

cat > "$new/apt.conf" <<CONF
Dir::State::lists "$new/apt/lists";
Dir::Cache "$new/apt/cache";
APT::Architectures { "amd64"; "arm64"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
CONF
export APT_CONFIG=$new/apt.conf
apt-get update -qq -o APT::Update::Post-Invoke-Success::=true

# the library and LLVM that go with the compiler, whatever version Debian has today
library=$(apt-cache show --no-all-versions libstd-rust-web-dev:amd64 | sed -n 's/^Depends: \(libstd-rust-web-[0-9.]*\).*/\1/p')
llvm=$(apt-cache show --no-all-versions "$library" | grep -o 'libllvm[0-9]*' | head -1)
cd "$new/debs"
apt-get download -qq rustc-web:amd64 "$library:amd64" libstd-rust-web-dev:amd64 "$llvm:amd64" rust-web-src libstd-rust-web-dev:arm64 \
    qemu-system-arm:amd64 qemu-user:amd64 \
    libcapstone4:amd64 libdaxctl1:amd64 libfdt1:amd64 libibverbs1:amd64 libndctl6:amd64 libpmem1:amd64 librdmacm1:amd64 libslirp0:amd64 \
    libvdeplug2:amd64 libnl-3-200:amd64 libnl-route-3-200:amd64 libexecs0:amd64

for package in *.deb; do
    case $package in
        rust-web-src_*) dpkg --fsys-tarfile "$package" | tar -x -C "$new/root" --wildcards './usr/src/rustc-*/library/*' './usr/lib/*' ;;
        qemu-system-arm_*) dpkg --fsys-tarfile "$package" | tar -x -C "$new/root" ./usr/bin/qemu-system-arm ;;
        qemu-user_*) dpkg --fsys-tarfile "$package" | tar -x -C "$new/root" ./usr/bin/qemu-aarch64 ;;
        *) dpkg -x "$package" "$new/root" ;;
    esac
done

# programs that find their libraries beside them, wherever the folder is
for program in rustc rustdoc qemu-system-arm qemu-aarch64; do
    cat > "$new/bin/$program" <<WRAPPER
#!/bin/sh
root=\$(cd "\$(dirname "\$0")/../root" && pwd)
LD_LIBRARY_PATH=\$root/usr/lib/x86_64-linux-gnu:\$root/lib/x86_64-linux-gnu exec "\$root/usr/bin/$program" "\$@"
WRAPPER
    chmod +x "$new/bin/$program"
done
cd "$new"
rm -rf "$new/debs" "$new/apt" "$new/apt.conf"
"$new/bin/rustc" -V
"$new/bin/qemu-system-arm" --version | head -1
cd ..
rm -rf "$folder"
mv "$new" "$folder"
