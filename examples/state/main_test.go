package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/subquad/subquad/lm"
)

// The program runs itself: here it is the test that runs, and becomes the
// program when it is called as that.
func TestMain(m *testing.M) {
	if slices.Contains(os.Args, "-restore") {
		main()
		return
	}
	os.Exit(m.Run())
}

// small are the settings of a short run; a test runs in its package's folder.
func small() settings {
	up := filepath.Join("..", "..")
	return settings{model: filepath.Join(up, bundled), other: filepath.Join(up, foreign), prompt: "The light ", tokens: 30, seed: 1}
}

func TestShow(t *testing.T) {
	var out strings.Builder
	if err := run(&out, small()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"has read 39 tokens; its", "the original has read 39 tokens still",
		"the same text: true;", "the same to the bit: true",
		"is damaged", `want "lm.rwkv4/1`, "is for 2 sequences, want 1", "not a saved state",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output %q: want %q in it", out.String(), want)
		}
	}
	_, rest, _ := strings.Cut(out.String(), "fork 1: ")
	lines := strings.Split(rest, "\n")
	if lines[0] == strings.TrimPrefix(lines[1], "fork 2: ") {
		t.Errorf("two forks with different seeds go on in the same way: %q", lines[0])
	}
}

// A text continued through a file is the text in one go.
func TestContinue(t *testing.T) {
	c := small()
	m, err := lm.LoadRWKV(c.model)
	if err != nil {
		t.Fatal(err)
	}
	write := func(prompt string, tokens int, restore, save string) string {
		var out strings.Builder
		c.prompt, c.tokens, c.restore, c.save = prompt, tokens, restore, save
		if err := run(&out, c); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	file := filepath.Join(t.TempDir(), "a.state")
	const first, second = "The light that comes ", "from the Sun is "
	write(first, 1, "", file) // generates a token that the state does not see
	got := write(second, 25, file, file)
	whole := m.NewState(1)
	want, err := generate(m, whole, first+second, 25, c.seed)
	if err != nil || got != want {
		t.Errorf("continued from a file: %q, in one go %q (%v)", got, want, err)
	}
	st := m.NewState(1)
	if err := st.LoadFile(file); err != nil {
		t.Fatal(err)
	}
	for i, inner := range whole.Sub {
		for j, p := range inner.Sub[0].Parts {
			for k, v := range p.Value.Data() {
				// The prompt was cut elsewhere, hence the rounding.
				if w := st.Sub[i].Sub[0].Parts[j].Value.Data()[k]; !(math.Abs(float64(v-w)) < 1e-3*max(1, math.Abs(float64(v)))) {
					t.Fatalf("block %d, %s[%d]: %g from the file, %g in one go", i, p.Name, k, w, v)
				}
			}
		}
	}
}

func TestErrors(t *testing.T) {
	for name, spoil := range map[string]func(c *settings){
		"no model":  func(c *settings) { c.model = "nowhere" },
		"no other":  func(c *settings) { c.other = "nowhere" },
		"no prompt": func(c *settings) { c.prompt = "" },
		"no tokens": func(c *settings) { c.tokens = 0 },
		"no file":   func(c *settings) { c.restore = "nowhere.state" },
		"no folder": func(c *settings) { c.save = filepath.Join("nowhere", "a.state") },
	} {
		c := small()
		spoil(&c)
		if err := run(new(strings.Builder), c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
