// Package bench compares this module's kernels and layers with the limits of
// the machine and with softmax attention:
//
//	go test -bench . ./bench                kernels and layers, in benchstat's format
//	go run ./bench/report                   a chosen set, as a page with plots, and other libraries
//	go run ./bench/lmbench -config NAME     whole language models
//	go run ./bench/limits                   the machine itself
//
// Names follow benchstat's key=value style. Kernels run on one core, at every
// instruction level that the machine has (hw=…), and report the metric
// peak-frac: the fraction of what the same core, in the same run, at the same
// level, does when it only multiplies and adds (MatMul) or only reads memory
// (MatVec). Machines are shared and noisy: compare ratios of one run.
//
// Layers, softmax attention among them, run on one core too, at the level in
// use, and each axis has a benchmark of its own, so that a whole run stays finite:
//
//	Forward   length, 256 to 64k, or up to -longest: µs/token is flat for all but softmax attention
//	Train     the same with gradients, 256 to 4096
//	Decode    one token after 1024 and 16384 others
//	Width     64, 256 and 1024 channels
//	State     the size of the state, where a configuration has one
//	Batch     one and eight sequences, whole and token by token
//	Threads   one, two, four, … and all
//	Level     every instruction level
//	Layers    768 channels: forward, train and decode
//
// They report memory too: state-bytes that are carried from token to token, and
// scratch-bytes, all that intermediate results take at most. There are about
// 1200 benchmarks of a second and a little, those of long sequences more: by
// that count half an hour on an idle machine. The 670 of layers took 94 seconds
// with -short -benchtime 1x, on two busy cores. Some of them:
//
//	go test -bench 'Forward/layer=(mamba|softmax)/' ./bench
//	go test -bench 'Decode/layer=rwkv7' -count 6 ./bench | tee new.txt    # for benchstat
//	SUBQUAD_HW=avx2 go test -count 1 -bench MatMul ./bench
//
// A layer is compared as soon as Kinds lists it.
package bench
