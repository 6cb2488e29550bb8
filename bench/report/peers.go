package main

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/subquad/subquad/hw"
)

//go:embed peers
var peerSources embed.FS

// A PeerResult is the time of the same work, here and elsewhere, one thread.
type PeerResult struct {
	Peer   string  `json:"peer"`
	Work   string  `json:"work"`
	Theirs float64 `json:"theirs_us"`
	Ours   float64 `json:"ours_us"`
}

// measurePeers runs small programs of ours that time other libraries; a
// library that is absent is named with the way to install it.
func measurePeers(r *Result) {
	dir, err := os.MkdirTemp("", "peers")
	if err != nil {
		r.Absent = append(r.Absent, err.Error())
		return
	}
	defer os.RemoveAll(dir)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	ours := map[string]float64{} // microseconds, at the best level
	for _, c := range kernelCases() {
		if c.level == hw.Current() {
			ours[c.name] = best(5, c.run)
		}
	}
	add := func(peer string, times []float64, err error, install string, works ...string) {
		if err != nil || len(times) < len(works) {
			r.Absent = append(r.Absent, fmt.Sprintf("%s (%s)", peer, install))
			return
		}
		for i, w := range works {
			r.Peers = append(r.Peers, PeerResult{peer, w, times[i], ours[w]})
		}
	}
	compiled := func(source, library string, args ...string) ([]float64, error) {
		code, err := peerSources.ReadFile("peers/" + source)
		if err != nil {
			return nil, err
		}
		src, program := filepath.Join(dir, source), filepath.Join(dir, strings.TrimSuffix(source, ".c"))
		if err := os.WriteFile(src, code, 0o600); err != nil {
			return nil, err
		}
		if err := exec.Command("cc", "-O3", "-march=native", "-o", program, src, library, "-lm").Run(); err != nil {
			return nil, err
		}
		return numbers(exec.Command(program, args...))
	}
	fmt.Fprint(os.Stderr, "\r\033[Kother libraries …")
	times, err := compiled("openblas.c", "-lopenblas")
	add("OpenBLAS", times, err, "Debian: apt install gcc libopenblas-dev", "product 512×3072×768")
	short, err1 := compiled("fftw.c", "-lfftw3f", "4096")
	long, err2 := compiled("fftw.c", "-lfftw3f", "65536")
	add("FFTW", append(short, long...), errors.Join(err1, err2), "Debian: apt install gcc libfftw3-dev", "long convolution, 4096", "long convolution, 65536")
	script, err := peerSources.ReadFile("peers/torch_peer.py")
	if err == nil {
		times, err = numbers(exec.Command("python3", "-c", string(script)))
	}
	add("PyTorch", times, err, "Debian: apt install python3-torch", "product 512×3072×768", "softmax attention, 4096")
	if _, err := exec.LookPath("llama-bench"); err != nil {
		r.Absent = append(r.Absent, "llama.cpp (put llama-bench on the PATH; then compare its -p 512 -n 128 -t 1 with go run ./bench/lmbench)")
	}
	fmt.Fprint(os.Stderr, "\r\033[K")
}

// numbers runs a program that prints one number a line.
func numbers(cmd *exec.Cmd) (list []float64, err error) {
	out, err := cmd.Output()
	for _, f := range strings.Fields(string(out)) {
		v, bad := strconv.ParseFloat(f, 64)
		if bad != nil {
			return nil, bad
		}
		list = append(list, v)
	}
	return list, err
}
