//go:build !linux

package atomicfile

import "errors"

// exchange lets two names change what they stand for, where the system can do that.
func exchange(string, string) error { return errors.ErrUnsupported }
