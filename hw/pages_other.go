//go:build !linux

package hw

func largePages(at, bytes uintptr) {}
