// Longconv puts a tune, or a recording, into a hall: a causal convolution with a
// kernel of a million taps, over the whole signal at once and as a stream.
//
//	go run ./examples/longconv
//	go run ./examples/longconv -seconds 60 -block 0.1 -out hall.wav
//	go run ./examples/longconv -in recording.wav
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/subquad/subquad/fft"
)

const (
	rate     = 44100 // samples a second
	channels = 2     // left and right, each with a kernel of its own
)

type settings struct {
	seconds, block, reverb float64
	taps                   int
	in, out                string
}

func main() {
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "Longconv convolves a tune or a recording with the echo of a hall, whole and as a stream, and writes it as WAV.\n\n")
		flag.PrintDefaults()
	}
	var c settings
	flag.Float64Var(&c.seconds, "seconds", 20, "length of the tune; the echo comes after it")
	flag.Float64Var(&c.block, "block", 1, "seconds of signal that the stream takes at a time")
	flag.Float64Var(&c.reverb, "reverb", 5, "seconds in which the echo falls by 60 dB")
	flag.IntVar(&c.taps, "taps", 1_000_000, "length of the kernel in samples")
	flag.StringVar(&c.in, "in", "", "WAV file to take instead of the tune, 16 bits, 44100 a second, mono or stereo")
	flag.StringVar(&c.out, "out", filepath.Join(os.TempDir(), "longconv.wav"), "file to write")
	flag.Parse()
	if err := run(os.Stdout, c); err != nil {
		fmt.Fprintln(os.Stderr, "longconv:", err)
		os.Exit(1)
	}
}

// hall is the response of a large room to a clap, [taps][channels]: the clap
// itself, then echoes too dense to tell apart, which fade, the high ones first.
func hall(taps int, reverb float64) []float32 {
	rng := rand.New(rand.NewPCG(2, 0))
	k := make([]float32, taps*channels)
	for c := range channels {
		k[c] = 1
		smooth := 0.0
		for t := rate / 50; t < taps; t++ { // the nearest wall is 20 ms away
			seconds := float64(t) / rate
			dull := 1 - math.Exp(-2/(seconds+0.5)) // air swallows what is high
			smooth += dull * (rng.NormFloat64() - smooth)
			k[t*channels+c] = float32(0.02 * smooth * math.Pow(10, -3*seconds/reverb))
		}
	}
	return k
}

// signal is the tune or the recording, [length][channels], with silence after it to hear the echo in.
func signal(c settings) ([]float32, error) {
	if c.in == "" {
		playing := int(c.seconds * rate)
		return tune(playing, playing+c.taps/4), nil
	}
	file, err := os.ReadFile(c.in)
	if err != nil {
		return nil, err
	}
	u, err := readWAV(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.in, err)
	}
	return append(u, make([]float32, c.taps/4*channels)...), nil
}

func run(w io.Writer, c settings) error {
	block := int(c.block * rate)
	if !(c.seconds > 0 && c.seconds <= 3600 && c.reverb > 0) || block < 1 || c.taps < 1 || c.taps > 1<<24 {
		return fmt.Errorf("%g seconds in blocks of %g with %d taps and a reverberation of %g s: want up to an hour, blocks of a sample or more and 1 to %d taps",
			c.seconds, c.block, c.taps, c.reverb, 1<<24)
	}
	u, err := signal(c)
	if err != nil {
		return err
	}
	length := len(u) / channels
	k := hall(c.taps, c.reverb)
	short := min(length, c.taps) // the first outputs have fewer inputs behind them
	sums := channels * (float64(short)*float64(short+1)/2 + float64(length-short)*float64(c.taps))
	fmt.Fprintf(w, "%.1f s of sound in %d channels, %d taps (%.1f s). Summed as it stands that is %.1e multiply-adds.\n\n",
		float64(length)/rate, channels, c.taps, float64(c.taps)/rate, sums)

	start := time.Now()
	whole, err := fft.NewKernel(k, c.taps, channels, length)
	if err != nil {
		return err
	}
	ready := time.Since(start)
	y := make([]float32, len(u))
	start = time.Now()
	whole.Conv(y, u, nil, 1, length)
	took := time.Since(start)
	fmt.Fprintf(w, "whole:     %5.2f s, and %.2f s to make the kernel ready; as if %.0f billion multiply-adds a second\n", took.Seconds(), ready.Seconds(), sums/took.Seconds()/1e9)

	stream, err := newReverb(k, c.taps, block)
	if err != nil {
		return err
	}
	z := make([]float32, len(u))
	var worst time.Duration
	start = time.Now()
	for lo := 0; lo < len(u); lo += block * channels {
		hi := min(lo+block*channels, len(u))
		began := time.Now()
		stream.process(z[lo:hi], u[lo:hi])
		worst = max(worst, time.Since(began))
	}
	took = time.Since(start)
	fmt.Fprintf(w, "streaming: %5.2f s, at most %.0f ms for a block of %.0f ms; it remembers %.1f MB\n\n", took.Seconds(), 1e3*worst.Seconds(), 1e3*c.block, float64(4*len(stream.past))/1e6)

	fmt.Fprintf(w, "largest difference over the largest sample: whole and streaming %.1e, whole and the plain sum in float64 %.1e (at 20 samples)\n",
		difference(y, z), spotCheck(y, u, k, 20))
	if err := writeWAV(c.out, z); err != nil {
		return err
	}
	fmt.Fprintf(w, "%s: listen to it\n", c.out)
	return nil
}

// A reverb is a stream's side of the convolution: the kernel and the last
// taps−1 samples that came in, which are all of the past that still sounds.
type reverb struct {
	kernel *fft.Kernel
	past   []float32
}

func newReverb(k []float32, taps, block int) (*reverb, error) {
	f, err := fft.NewKernel(k, taps, channels, block)
	return &reverb{f, make([]float32, (taps-1)*channels)}, err
}

// process convolves the next samples of the stream, any number of them.
func (r *reverb) process(y, u []float32) {
	r.kernel.Conv(y, u, r.past, 1, len(u)/channels)
	r.kernel.Push(r.past, u, 1, len(u)/channels)
}

func difference(a, b []float32) float64 {
	worst := 0.0
	for i := range a {
		worst = max(worst, math.Abs(float64(a[i]-b[i])))
	}
	return worst / max(peak(a), 1e-9)
}

func peak(a []float32) (p float64) {
	for _, v := range a {
		p = max(p, math.Abs(float64(v)))
	}
	return p
}

// spotCheck sums some samples as the definition has it, y[t] = Σ k[s] u[t−s].
func spotCheck(y, u, k []float32, samples int) float64 {
	rng := rand.New(rand.NewPCG(3, 0))
	worst := 0.0
	for range samples {
		t, c := rng.IntN(len(y)/channels), rng.IntN(channels)
		sum := 0.0
		for s := range min(t+1, len(k)/channels) {
			sum += float64(k[s*channels+c]) * float64(u[(t-s)*channels+c])
		}
		worst = max(worst, math.Abs(sum-float64(y[t*channels+c])))
	}
	return worst / max(peak(y), 1e-9)
}

// writeWAV writes 16-bit samples, the loudest just below full scale.
func writeWAV(path string, samples []float32) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.Write(wav(samples))
	return errors.Join(err, f.Close())
}
