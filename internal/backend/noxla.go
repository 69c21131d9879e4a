//go:build !cgo || noxla

package backend

import "github.com/gomlx/compute"

const xlaBuiltIn = false

func beforeXLA(resolvedPlugin) {}

func describeXLA(compute.Backend, resolvedPlugin, *Info) {}
