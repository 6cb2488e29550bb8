package doccheck

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

var root = filepath.Join("..", "..") // a test runs in its package's folder

// A page is a Markdown file.
type page struct {
	name  string // relative to the root, with slashes
	lines []string
	code  []bool // whether a line is inside a code block or one of its fences
}

// A block is a code block.
type block struct {
	line   int    // of its first line of code, from 1
	lang   string // the word behind the fence
	hidden string // code in a comment before it
	text   string
}

// pages reads every page of the module.
func pages(t *testing.T) (all []page) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != root && (name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) == ".md" {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			all = append(all, newPage(filepath.ToSlash(name), string(data)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 8 {
		t.Fatalf("found only %d pages", len(all))
	}
	return all
}

func newPage(name, text string) page {
	p := page{name: name, lines: strings.Split(text, "\n")}
	p.code = make([]bool, len(p.lines))
	in := false
	for i, line := range p.lines {
		fence := strings.HasPrefix(strings.TrimSpace(line), "```")
		p.code[i] = in || fence
		if fence {
			in = !in
		}
	}
	return p
}

// blocks lists a page's code blocks.
func (p *page) blocks() (all []block) {
	hidden := ""
	for i := 0; i < len(p.lines); i++ {
		line := strings.TrimSpace(p.lines[i])
		switch {
		case p.code[i]:
			b := block{line: i + 2, lang: strings.TrimPrefix(line, "```"), hidden: hidden}
			var body []string
			for i++; i < len(p.lines) && !strings.HasPrefix(strings.TrimSpace(p.lines[i]), "```"); i++ {
				body = append(body, p.lines[i])
			}
			b.text, hidden = strings.Join(body, "\n")+"\n", ""
			all = append(all, b)
		case strings.HasPrefix(line, "<!-- go:"):
			hidden = strings.TrimPrefix(line, "<!-- go:")
			for !strings.Contains(hidden, "-->") && i+1 < len(p.lines) {
				i++
				hidden += "\n" + p.lines[i]
			}
			hidden = strings.TrimSpace(strings.Replace(hidden, "-->", "", 1))
		case line != "":
			hidden = ""
		}
	}
	return all
}

// A link leads from a page to something.
type link struct {
	line       int
	text, goal string
}

var linkForm = regexp.MustCompile(`\[([^\]]*)\]\(([^)\s]+)\)`)

// links lists a page's links; those in code are none.
func (p *page) links() (all []link) {
	for i, line := range p.lines {
		if p.code[i] {
			continue
		}
		for _, m := range linkForm.FindAllStringSubmatchIndex(line, -1) {
			if strings.Count(line[:m[0]], "`")%2 == 0 {
				all = append(all, link{i + 1, line[m[2]:m[3]], line[m[4]:m[5]]})
			}
		}
	}
	return all
}

// anchors are the names under which a page's headings can be linked to, as GitHub makes them.
func (p *page) anchors() map[string]bool {
	seen := map[string]bool{}
	for i, line := range p.lines {
		title := strings.TrimLeft(line, "#")
		if p.code[i] || title == line || !strings.HasPrefix(title, " ") {
			continue
		}
		var b strings.Builder
		for _, r := range strings.ToLower(strings.TrimSpace(title)) {
			switch {
			case r == ' ':
				b.WriteByte('-')
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				b.WriteRune(r)
			}
		}
		seen[b.String()] = true
	}
	return seen
}

func TestPage(t *testing.T) {
	p := newPage("x.md", "# One, `two`\nsee [a](b.md#c) and `[no](x)` [`f`](g.go)\n\n<!-- go: var x int -->\n\n```go\nx++\n```\n```\n[n](o)\n```\ntext\n```go\ny()\n```")
	blocks := p.blocks()
	if len(blocks) != 3 || blocks[0] != (block{7, "go", "var x int", "x++\n"}) || blocks[2] != (block{14, "go", "", "y()\n"}) {
		t.Errorf("blocks %+v", blocks)
	}
	links := p.links()
	if len(links) != 2 || links[0] != (link{2, "a", "b.md#c"}) || links[1] != (link{2, "`f`", "g.go"}) {
		t.Errorf("links %+v", links)
	}
	if a := p.anchors(); len(a) != 1 || !a["one-two"] {
		t.Errorf("anchors %v", a)
	}
}
