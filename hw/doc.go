// Package hw asks the machine what it can do: which instruction levels it has,
// which of them the kernels use, and how work is spread over its cores.
//
// A level is portable, avx2, avx512, amx or neon (Levels lists the machine's,
// Info describes the machine itself). The strongest is used; SUBQUAD_HW caps it
// from outside, Set chooses it inside, and the build tag purego leaves the
// portable level alone. The tiles of amx need the system's permission, which is
// asked for at start where the processor has them and the cap allows them, and
// a product that comes out right. `go run ./hw/cmd/hwinfo` prints all of it.
//
// A program that uses layers needs nothing from here: the choice is made before
// main runs. Set is for comparing levels, Info for printing what a measurement
// ran on, OnLevel and Supports for packages that have kernels.
//
// Parallel is the loop that everything above uses: it starts goroutines for each
// call, or has those of a Team that stays awake from call to call (StartTeam),
// and results do not depend on their number.
// LargePages gathers memory that is read over and over in pages of 2 MB.
package hw
