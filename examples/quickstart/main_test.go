package main

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// set changes a flag for a test.
func set[T any](t *testing.T, flag *T, to T) {
	old := *flag
	*flag = to
	t.Cleanup(func() { *flag = old })
}

func TestCompare(t *testing.T) {
	set(t, longest, 1024)
	set(t, width, 64)
	var out strings.Builder
	if err := compare(&out); err != nil {
		t.Fatal(err)
	}
	_, parts, _ := strings.Cut(out.String(), "The same 1000 bytes")
	bytes := map[string][]string{} // of state, by block
	for _, m := range regexp.MustCompile(`(?m)^ +(\S.*?) +\d+ +\d+\.\d\d .*? (\d+) `).FindAllStringSubmatch(out.String(), -1) {
		bytes[m[1]] = append(bytes[m[1]], m[2])
	}
	for _, name := range []string{"Mamba", "RWKV-7", "Based", "softmax attention"} {
		b := bytes[name]
		if len(b) != 3 {
			t.Fatalf("%s: %d lengths in %q, want 3", name, len(b), out.String())
		}
		if grows := b[0] != b[2]; grows != (name == "softmax attention") {
			t.Errorf("%s: states of %v bytes", name, b)
		}
		m := regexp.MustCompile(name + ` +(\S+) +(\S+)`).FindStringSubmatch(parts)
		if m == nil {
			t.Fatalf("%s: no differences in %q", name, parts)
		}
		for _, d := range m[1:] {
			if v, err := strconv.ParseFloat(d, 64); err != nil || !(v < 1e-5) {
				t.Errorf("%s: pieces differ from the whole by %s, want less than 1e-5", name, d)
			}
		}
	}
}

func TestGenerate(t *testing.T) {
	set(t, model, filepath.Join("..", "..", "lm", "testdata", "rwkv-4v0-660K"))
	set(t, tokens, 20)
	var out strings.Builder
	if err := generate(&out); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), *prompt) || !strings.Contains(out.String(), "rwkv4: 20 tokens") {
		t.Errorf("output %q: want the prompt and a line about 20 tokens", out.String())
	}
}

func TestErrors(t *testing.T) {
	for _, n := range []int{100, len(text) + 1} {
		set(t, longest, n)
		if err := compare(new(strings.Builder)); err == nil {
			t.Errorf("-longest %d: no error", n)
		}
	}
	set(t, longest, 256)
	set(t, width, 0)
	if err := compare(new(strings.Builder)); err == nil {
		t.Error("-width 0: no error")
	}
	set(t, model, "nowhere")
	if err := generate(new(strings.Builder)); err == nil {
		t.Error("-model nowhere: no error")
	}
}
