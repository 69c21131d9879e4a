package nearest

import "testing"

func TestWord(t *testing.T) {
	names := []string{"simplicity-bias", "gc-regularizer", "smoke", "laptop", "paper", "rank", "run"}
	for _, tc := range []struct {
		word, want string
		near       bool
	}{
		{"simplicity-bais", "simplicity-bias", true},
		{"gc-regulariser", "gc-regularizer", true},
		{"labtop", "laptop", true},
		{"PAPER", "paper", true},
		{"smoke", "smoke", true},
		{"rnu", "run", true}, // "rank" is as near.
		{"zebra", "paper", false},
		{"x", "smoke", false},
	} {
		t.Run(tc.word, func(t *testing.T) {
			got, near := Word(tc.word, names)
			if near != tc.near || (near && got != tc.want) {
				t.Errorf("Word(%q) = %q, %v; want %q, %v", tc.word, got, near, tc.want, tc.near)
			}
		})
	}
	if got, near := Word("a", nil); near || got != "" {
		t.Errorf("Word without candidates = %q, %v; want none", got, near)
	}
}
