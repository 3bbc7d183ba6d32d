package convert

import (
	"strconv"
)

func itoa(n int) string { return strconv.Itoa(n) }

// atoi reads a number that is known to be one, or nothing: 0.
func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}
