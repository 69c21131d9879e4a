package shell

import (
	"bytes"
	"os/exec"
	"testing"
)

func TestJoin(t *testing.T) {
	want := `gcml run 01 --set 'rates=[0.1, 0.2]' --out 'it'\''s' ''`
	if got := Join("gcml", "run", "01", "--set", "rates=[0.1, 0.2]", "--out", "it's", ""); got != want {
		t.Errorf("%s; want %s", got, want)
	}
}

// What a shell makes of the line are the words again.
func TestShellGivesTheWordsBack(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh")
	}
	for _, word := range []string{"plain", "", "two words", "it's", `"a","b"`, "$HOME", "a;b", "~", "x\ny", "*", `\`, "{a,b}", "!x", "k=v"} {
		got, err := exec.Command(sh, "-c", "printf %s "+Join(word)).Output()
		if err != nil || !bytes.Equal(got, []byte(word)) {
			t.Errorf("%q comes back as %q, %v", word, got, err)
		}
	}
}
