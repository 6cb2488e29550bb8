package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLongconv(t *testing.T) {
	var out strings.Builder
	c := settings{seconds: 0.7, block: 0.05, reverb: 0.5, taps: 20000, out: filepath.Join(t.TempDir(), "a.wav")}
	if err := run(&out, c); err != nil {
		t.Fatal(err)
	}
	length := int(c.seconds*rate) + c.taps/4
	file, err := os.ReadFile(c.out)
	if err != nil {
		t.Fatal(err)
	}
	if want := 44 + 2*channels*length; len(file) != want || !bytes.HasPrefix(file, []byte("RIFF")) {
		t.Errorf("%d bytes from %q, want a RIFF file of %d", len(file), file[:4], want)
	}
	if !strings.Contains(out.String(), "streaming:") {
		t.Errorf("output %q", out.String())
	}
}

// Whole, in blocks of several lengths, and summed as it stands agree.
func TestForms(t *testing.T) {
	const taps, length = 3000, 9000
	u, k := tune(7000, length), hall(taps, 0.3)
	var first []float32
	for _, block := range []int{length, 1000, 77} {
		r, err := newReverb(k, taps, block)
		if err != nil {
			t.Fatal(err)
		}
		y := make([]float32, len(u))
		for lo := 0; lo < len(u); lo += block * channels {
			hi := min(lo+block*channels, len(u))
			r.process(y[lo:hi], u[lo:hi])
		}
		if first == nil {
			first = y
		}
		if d := difference(first, y); !(d < 1e-6) {
			t.Errorf("blocks of %d: differ by %.1e from the whole", block, d)
		}
		if d := spotCheck(y, u, k, 50); !(d < 1e-6) {
			t.Errorf("blocks of %d: differ by %.1e from the plain sum", block, d)
		}
	}
}

func TestErrors(t *testing.T) {
	good := settings{seconds: 0.1, block: 0.05, reverb: 1, taps: 100, out: filepath.Join(t.TempDir(), "a.wav")}
	for name, spoil := range map[string]func(c *settings){
		"taps":    func(c *settings) { c.taps = 0 },
		"block":   func(c *settings) { c.block = 0 },
		"seconds": func(c *settings) { c.seconds = -1 },
		"file":    func(c *settings) { c.out = filepath.Join(c.out, "no", "folder") },
	} {
		c := good
		spoil(&c)
		if err := run(new(strings.Builder), c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
