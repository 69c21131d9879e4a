package atomicfile

import "golang.org/x/sys/unix"

// exchange lets two names, which have to be there both, change what they stand for.
func exchange(a, b string) error {
	return unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
}
