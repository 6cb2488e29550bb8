// Command report measures a chosen set of comparisons and writes them as one
// self-contained HTML page with plots, as Markdown, and as JSON.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/subquad/subquad/hw"
)

var (
	out      = flag.String("out", "report", "folder to write report.html, report.md and report.json to")
	before   = flag.String("before", "", "report.json of an earlier run to compare with")
	redraw   = flag.String("draw", "", "measure nothing: draw the page of this report.json, or of several with commas between them, the best of each figure")
	chosen   = flag.String("layers", "", "only layers whose name matches this expression, and softmax attention")
	width    = flag.Int("d", 256, "channels of each layer")
	longest  = flag.Int("longest", 65536, "longest sequence")
	duration = flag.Duration("time", time.Second, "how long each point is measured, over rounds")
	quick    = flag.Bool("quick", false, "a first look: short sequences, one round")
	kernel   = flag.Bool("kernels", true, "measure the kernels against the machine's limits")
	peers    = flag.Bool("peers", true, "measure what other libraries on this machine do on the same work")
	llama    = flag.String("llama", "", "GGUF file for llama.cpp's llama-bench, if that is on the PATH")
)

func main() {
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: go run ./bench/report [flags]\n\nMeasures every layer over length and depth, the kernels against the machine's limits, and peers that are installed.\nAn interrupt ends the measuring early; the page then has what there is.")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func run() error {
	if *width < 64 || *width > 1<<14 || *longest < 512 || *longest > 1<<22 || *duration < 0 {
		return fmt.Errorf("-d %d, -longest %d, -time %v: want 64 to %d, 512 to %d, and no negative time", *width, *longest, *duration, 1<<14, 1<<22)
	}
	only, err := regexp.Compile(*chosen)
	if err != nil {
		return fmt.Errorf("-layers: %w", err)
	}
	var r, old *Result
	if *before != "" {
		if old, err = load(*before); err != nil {
			return fmt.Errorf("-before: %w", err)
		}
	}
	if *redraw != "" {
		for i, path := range strings.Split(*redraw, ",") {
			next, err := load(path)
			if err == nil && i > 0 {
				err = r.merge(next)
			}
			if err != nil {
				return fmt.Errorf("-draw: %w", err)
			}
			if i == 0 {
				r = next
			}
		}
	} else if r, err = measure(only); err != nil {
		return err
	}
	return write(*out, r, old)
}

// measure makes a new result as the flags say.
func measure(only *regexp.Regexp) (*Result, error) {
	start := time.Now()
	r := &Result{Date: start.Format(time.DateOnly), CPU: hw.Info().Brand, Level: hw.Current().String(), Cores: runtime.GOMAXPROCS(0), Width: *width}
	if *quick {
		*longest, *duration = min(*longest, 2048), 0
	}
	for n := 256; n <= *longest; n *= 2 {
		r.Lengths = append(r.Lengths, n)
	}
	for n := 1024; n <= *longest; n *= 4 {
		r.Depths = append(r.Depths, n)
	}
	s := &schedule{atLeast: *duration}
	if err := s.layers(r, only); err != nil {
		return nil, err
	}
	if *kernel {
		s.kernels(r)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	s.run(ctx)
	if *peers {
		measurePeers(ctx, r)
	}
	if ctx.Err() != nil {
		fmt.Fprintln(os.Stderr, "interrupted: the page has what was measured")
	}
	stop() // from here on an interrupt ends the program
	r.Seconds = time.Since(start).Seconds()
	return r, r.check()
}

// write puts the page, the Markdown and the JSON into a folder.
func write(dir string, r, old *Result) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	page, err := html(r, old)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"report.json": data, "report.html": page, "report.md": markdown(r, old)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o666); err != nil {
			return err
		}
	}
	fmt.Println(filepath.Join(dir, "report.html"))
	return nil
}
