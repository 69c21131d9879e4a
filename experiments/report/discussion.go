package report

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/internal/nearest"
)

// DiscussionFile is a file that is written by hand. For each claim it has a heading "## ID:
// VERDICT", with the claim's ID and its uncorrected verdict, and a paragraph of plain text.
const DiscussionFile = "discussion.md"

// readDiscussion returns the paragraphs of the folder's discussion by claim. A heading with another
// verdict than the claim's is an error, because its text was written for another result.
func readDiscussion(dir string, claims []evidence.Claim) (map[string]string, error) {
	file := filepath.Join(dir, DiscussionFile)
	raw, err := readFile(dir, DiscussionFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	texts := map[string]string{}
	id := ""
	for line := range strings.Lines(string(raw)) {
		heading, isHeading := strings.CutPrefix(line, "## ")
		switch {
		case isHeading:
			var verdict string
			id, verdict, _ = strings.Cut(strings.TrimSpace(heading), ": ")
			if err := mayDiscuss(id, verdict, claims); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			texts[id] = ""
		case strings.TrimSpace(line) == "":
		case id == "":
			return nil, fmt.Errorf("%s: %q is under no claim's heading; begin with a line \"## ID: VERDICT\"", file,
				strings.TrimSpace(line))
		default:
			texts[id] = strings.TrimSpace(texts[id] + " " + strings.Join(strings.Fields(line), " "))
		}
	}
	return texts, nil
}

func mayDiscuss(id, verdict string, claims []evidence.Claim) error {
	if i := slices.IndexFunc(claims, func(c evidence.Claim) bool { return c.ID == id }); i >= 0 {
		if own := claims[i].Verdict; verdict != string(own) {
			return fmt.Errorf("claim %s has a text of another result; here its verdict is: %s; check it, then write %q",
				id, own, discussionHeading(claims[i]))
		}
		return nil
	}
	var known []string
	for _, c := range claims {
		known = append(known, c.ID)
	}
	return nearest.Unknown("claim", id, known)
}

// discussionHeading is the line that a claim's discussion begins with.
func discussionHeading(c evidence.Claim) string { return fmt.Sprintf("## %s: %s", c.ID, c.Verdict) }

// Undiscussed returns the IDs of the claims that do not hold and have no discussion.
func (f *Folder) Undiscussed() (ids []string) {
	for _, c := range f.Claims {
		if c.Verdict == evidence.DoesNotHold && f.Discussion[c.ID] == "" {
			ids = append(ids, c.ID)
		}
	}
	return ids
}
