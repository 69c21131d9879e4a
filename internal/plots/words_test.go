package plots

import "testing"

func TestInWords(t *testing.T) {
	f := Figure{Title: "A sweep", Caption: "Bands:  smallest\nto largest.", Panels: []Panel{
		{Title: "GC", XLabel: "step", YLabel: "GC of the logits", LogY: true,
			Series: []Series{{Name: "a"}, {Name: "b"}, {Name: ""}}},
		{XLabel: "rate", YLabel: "loss", LogX: true, Series: []Series{{Name: "a"}}},
	}}
	want := "A sweep. GC: GC of the logits (logarithmic) against step; loss against rate (logarithmic). Shown: a, b. Bands: smallest to largest."
	if got := f.InWords(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	var many Panel
	for _, name := range []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"} {
		many.Series = append(many.Series, Series{Name: name})
	}
	want = "y against x. Shown: 0, 1, 2, 3, 4, 5, and so on to 9."
	many.XLabel, many.YLabel = "x", "y"
	if got := (Figure{Panels: []Panel{many}}).InWords(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
