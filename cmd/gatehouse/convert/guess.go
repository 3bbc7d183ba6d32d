package convert

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// marks are what lines of a configuration look like in one language and in no other.
var marks = [...]*regexp.Regexp{
	HAProxy: regexp.MustCompile(`^\s*(listen|frontend|backend)\s+[^\s;{]+(\s+[^\s;]+:\d+)?\s*$|^\s*(global|defaults)\s*$|^\s*server\s+\S+\s+\S+:\d+`),
	Stunnel: regexp.MustCompile(`^\s*\[[^\]]+\]\s*$|^\s*(accept|connect|cert)\s*=`),
	Apache:  regexp.MustCompile(`(?i)^\s*<(VirtualHost|IfModule|Location|Proxy|Directory)\b|^\s*(ProxyPass|ServerName|SSLEngine|Listen\s+\d+\s*$)`),
	Nginx:   regexp.MustCompile(`^\s*(server|http|events|upstream\s+\S+|location\s+\S+)\s*\{|^\s*(proxy_pass|server_name|listen)\s[^;]*;`),
}

// mistaken adds to an error of a language that the text looks like one of another, where it does so line by line.
func mistaken(kind Kind, list []*source, err error) error {
	var syntax *SyntaxError
	if !errors.As(err, &syntax) {
		return err
	}
	var count [len(marks)]int
	for _, s := range list {
		for i, line := range s.lines {
			if i == 1000 {
				break
			}
			if strings.HasPrefix(strings.TrimLeft(line, " \t"), "#") {
				continue
			}
			for k, mark := range marks {
				if len(line) < 1000 && mark.MatchString(line) {
					count[k]++
				}
			}
		}
	}
	for k, n := range count {
		if n > 1 && count[kind] == 0 {
			return fmt.Errorf("%w\nIs it a configuration of %s? Then write --%[2]s", err, Kind(k))
		}
	}
	return err
}
