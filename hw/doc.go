// Package hw asks the machine what it can do: which instruction levels it has,
// which of them the kernels use, and how work is spread over its cores.
package hw
