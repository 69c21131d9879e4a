package backend

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/geometric-complexity/toolkit/internal/platform"
)

const (
	xlaFlags = "XLA_FLAGS"
	// flagsExtension is the extension of the file of flags beside a plugin, which scripts/plugin.py
	// writes.
	flagsExtension = ".xla_flags"
)

// withXLAFlags calls open with the plugin's flags appended to the user's in XLA_FLAGS. XLA reads
// the variable once, while the plugin is opened. Afterwards it is restored, so that no other plugin
// and no child process gets these flags.
func withXLAFlags(plugin string, open func() error) error {
	before, set := os.LookupEnv(xlaFlags)
	added := missingFlags(flagsFor(plugin), before)
	platform.SetXLAFlags(before + " " + added)
	if added == "" {
		return open()
	}
	_ = os.Setenv(xlaFlags, strings.TrimSpace(before+" "+added)) // Fails for malformed names only.
	defer func() {
		if set {
			_ = os.Setenv(xlaFlags, before)
		} else {
			_ = os.Unsetenv(xlaFlags)
		}
	}()
	return open()
}

// flagsFor returns the flags in the file beside a plugin, none if there is no such file. XLA ends
// the program if it does not know a flag. The file therefore starts with the size of its plugin,
// and is ignored if the size differs.
func flagsFor(plugin string) []string {
	content, err := os.ReadFile(strings.TrimSuffix(plugin, filepath.Ext(plugin)) + flagsExtension)
	if err != nil {
		return nil
	}
	fi, err := os.Stat(plugin)
	size, flags, _ := strings.Cut(string(content), " ")
	if err != nil || size != fmt.Sprint(fi.Size()) {
		return nil
	}
	return strings.Fields(flags)
}

// missingFlags returns the flags that are not in set with this or another value.
func missingFlags(flags []string, set string) string {
	known := make(map[string]bool)
	for _, flag := range strings.Fields(set) {
		name, _, _ := strings.Cut(flag, "=")
		known[name] = true
	}
	var missing []string
	for _, flag := range flags {
		if name, _, _ := strings.Cut(flag, "="); !known[name] {
			missing = append(missing, flag)
		}
	}
	return strings.Join(missing, " ")
}
