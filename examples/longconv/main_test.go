package main

import (
	"bytes"
	"math"
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

// What is written as WAV can be read, and a recording goes the way of the tune.
func TestReadWAV(t *testing.T) {
	u := tune(2000, 2000)
	file := wav(u)
	v, err := readWAV(file)
	if err != nil || len(v) != len(u) {
		t.Fatalf("%d samples, %v: want %d", len(v), err, len(u))
	}
	scale := peak(v) / peak(u)
	for i := range u {
		if d := math.Abs(float64(v[i]) - scale*float64(u[i])); !(d < 1./32768) {
			t.Fatalf("sample %d is %g, want %g", i, v[i], scale*float64(u[i]))
		}
	}
	mono := bytes.Clone(file)
	mono[22] = 1
	m, err := readWAV(mono)
	if err != nil || len(m) != 2*len(u) || m[0] != v[0] || m[1] != v[0] || m[2] != v[1] {
		t.Errorf("mono: %d samples, %v: want %d, each twice", len(m), err, 2*len(u))
	}

	path := filepath.Join(t.TempDir(), "in.wav")
	if err := os.WriteFile(path, file, 0o644); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := run(&out, settings{seconds: 1, block: 0.05, reverb: 0.5, taps: 400, in: path, out: path + ".out"}); err != nil || !strings.Contains(out.String(), "streaming:") {
		t.Errorf("%q, %v", out.String(), err)
	}

	for n := range 44 { // cut anywhere before the sound
		if _, err := readWAV(file[:n]); err == nil {
			t.Errorf("the first %d bytes are taken for a file", n)
		}
	}
	for at, name := range map[int]string{0: "name", 8: "kind", 16: "length of the format", 20: "format", 22: "channels", 24: "rate", 34: "bits", 36: "data"} {
		bad := bytes.Clone(file)
		bad[at] ^= 0x55
		if _, err := readWAV(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestErrors(t *testing.T) {
	good := settings{seconds: 0.1, block: 0.05, reverb: 1, taps: 100, out: filepath.Join(t.TempDir(), "a.wav")}
	for name, spoil := range map[string]func(c *settings){
		"taps":    func(c *settings) { c.taps = 0 },
		"block":   func(c *settings) { c.block = 0 },
		"seconds": func(c *settings) { c.seconds = -1 },
		"in":      func(c *settings) { c.in = "nowhere.wav" },
		"file":    func(c *settings) { c.out = filepath.Join(c.out, "no", "folder") },
	} {
		c := good
		spoil(&c)
		if err := run(new(strings.Builder), c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
