package backend

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/internal/platform"
)

// TestXLAFlags checks the flags that a plugin is opened with, and that the environment is restored
// afterwards.
func TestXLAFlags(t *testing.T) {
	t.Cleanup(func() { platform.SetXLAFlags("") })
	plugin := filepath.Join(t.TempDir(), "pjrt_c_api_cpu_plugin.so")
	if err := os.WriteFile(plugin, []byte("12345"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, file, user, want string }{
		{"no file", "", "--mine=1", "--mine=1"},
		{"the plugin's file", "5 --a=1 " + platform.OneDNNFlag + "\n", "", "--a=1 " + platform.OneDNNFlag},
		{"beside the user's", "5 --a=1 --b=2\n", "--mine=1", "--mine=1 --a=1 --b=2"},
		{"the user's go first", "5 --a=1 --b=2\n", "--a=9", "--a=9 --b=2"},
		{"the user's have longer names", "5 --a=1 --b=2\n", "--ab=--b --no--a", "--ab=--b --no--a --a=1 --b=2"},
		{"another plugin's file", "6 --a=1\n", "", ""},
		{"a broken file", "--a=1", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			flags := strings.TrimSuffix(plugin, ".so") + flagsExtension
			if err := os.RemoveAll(flags); err != nil {
				t.Fatal(err)
			}
			if tc.file != "" {
				if err := os.WriteFile(flags, []byte(tc.file), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv(xlaFlags, tc.user)
			if tc.user == "" {
				os.Unsetenv(xlaFlags)
			}
			var seen string
			if err := withXLAFlags(plugin, func() error { seen = os.Getenv(xlaFlags); return nil }); err != nil {
				t.Fatal(err)
			}
			if seen != tc.want {
				t.Errorf("opened with %q, want %q", seen, tc.want)
			}
			if after, set := os.LookupEnv(xlaFlags); after != tc.user || set != (tc.user != "") {
				t.Errorf("afterwards the environment has %q (%v), want %q", after, set, tc.user)
			}
			if got, want := platform.HasOneDNN(), strings.Contains(tc.want, platform.OneDNNFlag); got != want {
				t.Errorf("oneDNN in use: %v, want %v", got, want)
			}
		})
	}
}
