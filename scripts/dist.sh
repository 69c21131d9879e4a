#!/usr/bin/env bash
# Builds what a release holds, into dist/: the program for each platform, a bill of materials (SBOM) in CycloneDX's format,
# and the SHA-256 of all. The tree has to be a clean checkout of a tag. With XLA on the platform that builds, and pure Go on
# the others.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
version=$(git describe --tags --exact-match --dirty)
case $version in *-dirty) echo "dist: the tree has changes" >&2; exit 1 ;; esac
rm -rf dist
mkdir dist

build() { # OS ARCHITECTURE CGO SUFFIX
  echo "dist: $1/$2"
  GOOS=$1 GOARCH=$2 CGO_ENABLED=$3 go build -trimpath -buildvcs=true -o "dist/gcml-$version-$1-$2$4" ./cmd/gcml
}
build "$(go env GOHOSTOS)" "$(go env GOHOSTARCH)" 1 -xla
build linux amd64 0 ""
build linux arm64 0 ""
build darwin arm64 0 ""
build windows amd64 0 .exe

GOBIN=$PWD/.cache/bin go install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.9.0
.cache/bin/cyclonedx-gomod app -json -licenses -main cmd/gcml -output "dist/gcml-$version.cdx.json" .
(cd dist && sha256sum gcml-* > SHA256SUMS)
ls -l dist
