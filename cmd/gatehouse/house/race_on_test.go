//go:build race

package house_test

const raceEnabled = true
