package docs

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// shownHTML has the HTML that pages may use, with the attributes of each element. GitHub shows
// them; it removes styles, classes, scripts and frames.
var shownHTML = map[string][]string{
	"a": {"href", "name"}, "b": nil, "br": nil, "details": {"open"}, "div": {"align"},
	"img": {"src", "alt", "width", "height", "align"}, "kbd": nil, "p": {"align"}, "picture": nil,
	"source": {"media", "srcset"}, "sub": nil, "summary": nil, "sup": nil,
}

var (
	htmlTag = regexp.MustCompile(`<(/?)([a-zA-Z][a-zA-Z0-9-]*)` +
		`((?:\s+[a-zA-Z:-]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'>]+))?)*)\s*/?>`)
	htmlAttribute = regexp.MustCompile(`([a-zA-Z:-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?`)
	htmlComment   = regexp.MustCompile(`(?s)<!--.*?-->`)
	// htmlBlock is what CommonMark takes for HTML as a whole, up to a blank line: it begins with a
	// line that has a tag at its start, and nothing behind it or a tag of a block.
	htmlBlock = regexp.MustCompile(`(?m)^ {0,3}(?:</?[a-zA-Z][^>\n]*>[ \t]*|<(?:details|summary|div|p|table)\b.*)\n` +
		`(?:.*\S.*\n)*`)
	markdown = regexp.MustCompile("[*`]|\\]\\(")
	altText  = regexp.MustCompile(`\balt="[^"]{10,}"`)
	source   = regexp.MustCompile(`<img[^>]*\bsrc="([^":]+)"`)
	picture  = regexp.MustCompile(`!\[([^]]*)\]\(([^)\s]+)\)`)
)

// hidden returns what GitHub does not show of a page's HTML as it is meant.
func hidden(page string) (problems []string) {
	page = htmlComment.ReplaceAllString(code.ReplaceAllString(fence.ReplaceAllString(page, ""), "code"), "")
	for _, tag := range htmlTag.FindAllStringSubmatch(page, -1) {
		element := strings.ToLower(tag[2])
		allowed, known := shownHTML[element]
		if !known {
			problems = append(problems, tag[0]+": GitHub may remove the element")
			continue
		}
		for _, attribute := range htmlAttribute.FindAllStringSubmatch(tag[3], -1) {
			if !slices.Contains(allowed, strings.ToLower(attribute[1])) {
				problems = append(problems, tag[0]+": GitHub may remove the attribute "+attribute[1])
			}
		}
		if element == "img" && !altText.MatchString(tag[3]) {
			problems = append(problems, tag[0]+": it has no alternative text")
		}
	}
	for _, block := range htmlBlock.FindAllString(page, -1) {
		if markdown.MatchString(htmlTag.ReplaceAllString(block, "")) {
			problems = append(problems, "Markdown in a block of HTML is shown as it is written; leave a blank line before it:\n"+block)
		}
	}
	return problems
}

// TestGitHubShowsThePages checks the HTML and the pictures of all pages of the repository.
func TestGitHubShowsThePages(t *testing.T) {
	pages := repositoryFiles(t, "*.md")
	if len(pages) < 20 {
		t.Errorf("only %d pages found", len(pages))
	}
	for _, name := range pages {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range hidden(string(text)) {
			t.Errorf("%s: %s", name, problem)
		}
		for _, p := range picture.FindAllStringSubmatch(string(text), -1) {
			if len(p[1]) < 10 {
				t.Errorf("%s: the picture %s has no alternative text", name, p[2])
			}
		}
		for _, tag := range source.FindAllStringSubmatch(string(text), -1) {
			checkLink(t, name, tag[1])
		}
	}
}

func TestHidden(t *testing.T) {
	for _, tc := range []struct{ page, want string }{
		{"Text with <br> and a <b>word</b>.\n", ""},
		{"`<script>` in code, and\n```html\n<iframe>\n```\n<!-- <style> -->\n", ""},
		{"<img src=\"a.png\" width=\"380\" alt=\"two curves of a kind\">\n\n*A caption.*\n", ""},
		{"<details>\n<summary>More</summary>\n\n*Text.*\n\n</details>\n", ""},
		{"<img src=\"a.png\" width=\"380\" alt=\"two curves of a kind\">\n*A caption.*\n", "leave a blank line"},
		{"<details>\n<summary>More</summary>\nSee [this](a.md).\n\n</details>\n", "leave a blank line"},
		{"<p style=\"color: red\">x</p>\n", "the attribute style"},
		{"<p class=red>x</p>\n", "the attribute class"},
		{"<script>x</script>\n", "the element"},
		{"<iframe src=\"x\"></iframe>\n", "the element"},
		{"<img src=\"a.png\">\n", "no alternative text"},
	} {
		got := strings.Join(hidden(tc.page), "; ")
		if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
			t.Errorf("%q gives %q, want %q", tc.page, got, tc.want)
		}
	}
}
