package backend

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"example.com/geometric-complexity/internal/platform"
)

const (
	xlaFlags = "XLA_FLAGS"
	// flagsExtension is that of the file beside a plugin with the flags that suit it, which
	// scripts/plugin.py writes.
	flagsExtension = ".xla_flags"
)

// withXLAFlags calls open with the flags in XLA_FLAGS that suit the plugin. Those that the user has
// set are kept, and come first. The environment is afterwards as it was: XLA reads it once, while
// the plugin is opened, and neither another plugin nor another program should see them.
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

// flagsFor gives the flags in the file beside a plugin, none if there is no such file or if it is
// not for this plugin: XLA ends the program over a flag that it does not know, so the file starts
// with the size of the plugin that it is for.
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

// missingFlags are those of flags that set does not have with a value of its own.
func missingFlags(flags []string, set string) string {
	var missing []string
	for _, flag := range flags {
		name, _, _ := strings.Cut(flag, "=")
		if !strings.Contains(set, name) {
			missing = append(missing, flag)
		}
	}
	return strings.Join(missing, " ")
}
