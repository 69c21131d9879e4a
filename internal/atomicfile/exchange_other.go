//go:build !linux

package atomicfile

import "errors"

// exchange swaps two files or folders atomically, where the system can do that.
func exchange(string, string) error { return errors.ErrUnsupported }
