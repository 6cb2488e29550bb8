package main

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/subquad/subquad/linattn"
	"github.com/subquad/subquad/tensor"
)

// What the table shows, on documents of one length.
func TestRecall(t *testing.T) {
	const pairs, trials = 256, 25
	list, err := readers(pairs)
	if err != nil {
		t.Fatal(err)
	}
	share := map[string]float64{}
	for _, r := range list {
		share[r.name], _ = r.recall(pairs, trials, 1)
	}
	inside := (window - 1.) / pairs
	expected := inside + (1-inside)/values // what is outside is guessed
	for _, c := range []struct {
		name   string
		lo, hi float64
	}{
		{"softmax attention", 1, 1},
		{"window of 64", expected - 0.25, expected + 0.25},
		{"Based, 8 channels, once", 0.1, 0.5},
		{"Based, 8 channels, twice", 0.6, 0.95},
		{"Based, 16 channels, once", 0.5, 0.9},
		{"Based, 16 channels, twice", 0.95, 1},
		{"JRT, 16 channels, once", 0.95, 1},
	} {
		if got := share[c.name]; !(got >= c.lo && got <= c.hi) {
			t.Errorf("%s: %.0f %% of %d pairs, want %.0f to %.0f %%", c.name, 100*got, pairs, 100*c.lo, 100*c.hi)
		}
	}
	if a, b := share["Based, 16 channels, once"], share["Based, 16 channels, twice, unmarked"]; math.Abs(a-b) > 1.5/trials {
		t.Errorf("reading twice without marks answers %v, once %v: want the same, the sums are only doubled", b, a)
	}
}

// A mark is the square of the likeness of a pair's key and the question's, for
// pairs that have seen the question, and nothing for the others.
func TestMarks(t *testing.T) {
	const pairs = 100
	c := channels{16}
	tokens, document, question, _ := c.ask(pairs, rand.New(rand.NewPCG(5, 0)))
	ask := tokens.Data()[question[0]*c.width()+c.question():][:c.d]
	for _, r := range []struct {
		name   string
		make   maker
		ids    []int
		begins float64 // how often the beginning is in the normaliser
		first  int     // pairs before this token have not seen the question
	}{
		{"once", newMark, once(document, question), 1, pairs + 2},
		{"twice", newMark, linattn.JRTPrompt(document, question), 2, pairs + 2},
		{"question first", newMark, once(question, document), 1, 0},
		{"JRT", newJRTMark(pairs + 2), once(document, question), 2, 0},
	} {
		l, err := r.make(c)
		if err != nil {
			t.Fatal(err)
		}
		x := tensor.Gather(tokens, r.ids, 1, len(r.ids))
		y := l.Forward(x, nil).Data()
		for i, id := range r.ids {
			if id >= pairs {
				continue
			}
			likeness, want := 0.0, 0.0
			for j, q := range ask {
				likeness += float64(q) * float64(tokens.Data()[id*c.width()+c.key()+j])
			}
			if i >= r.first {
				want = likeness * likeness / r.begins
			}
			// 1 + s beside s²/2, and the other tokens beside the beginning, are why it is not exact.
			if got := float64(y[i*c.width()+c.mark()]); !(math.Abs(got-want) < 0.03) {
				t.Errorf("%s: token %d has the mark %.3f, want %.3f", r.name, i, got, want)
			}
		}
	}
}

func TestRun(t *testing.T) {
	var out strings.Builder
	file := filepath.Join(t.TempDir(), "recall.svg")
	if err := run(&out, settings{pairs: 32, trials: 2, plot: file}); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(file)
	if err != nil || !bytes.Contains(svg, []byte("</svg>")) || !bytes.Contains(svg, []byte("questions answered")) {
		t.Errorf("plot of %d bytes, error %v: want an SVG with its axes' names", len(svg), err)
	}
	if n := strings.Count(out.String(), " kB\n"); n != 8 {
		t.Errorf("%d rows in %q, want 8", n, out.String())
	}
	for name, c := range map[string]settings{
		"pairs":  {pairs: 1, trials: 1},
		"trials": {pairs: 16},
		"file":   {pairs: 16, trials: 1, plot: filepath.Join(file, "no", "folder")},
	} {
		if err := run(new(strings.Builder), c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
