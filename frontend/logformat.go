package frontend

import (
	"fmt"
	"strconv"
	"strings"
)

// logFormats are the words of the configuration, in the order of the constants.
var logFormats = [...]string{HTTPLog: "httplog", Combined: "combined", JSON: "json"}

// String returns the word of the configuration.
func (f LogFormat) String() string {
	if int(f) < len(logFormats) {
		return logFormats[f]
	}
	return "LogFormat(" + strconv.Itoa(int(f)) + ")"
}

// UnmarshalText reads "httplog", "combined" or "json".
func (f *LogFormat) UnmarshalText(text []byte) error {
	for i, word := range logFormats {
		if string(text) == word {
			*f = LogFormat(i)
			return nil
		}
	}
	return fmt.Errorf("unknown log format %q: want %s", text, strings.Join(logFormats[:], ", "))
}
