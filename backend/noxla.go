//go:build !cgo || noxla

package backend

import (
	"errors"

	"github.com/gomlx/compute"
)

const xlaBuiltIn = false

func beforeXLA(resolvedPlugin) {}

func openXLA(string, resolvedPlugin) (compute.Backend, error) { return nil, errors.ErrUnsupported }

func describeXLA(compute.Backend, resolvedPlugin, *Info) {}
