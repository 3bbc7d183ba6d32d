// Package examples holds the configurations of the HAProxy Architecture Guide, one folder for each section: gatehouse.hcl, the
// old configuration beside it, a README.md under the guide's headings, and a flow that proves what the README says.
//
// Other .hcl files in a folder are variations its flow plays too.
package examples

import "embed"

// FS holds the configurations, for gatehouse demo.
//
//go:embed */*.hcl
var FS embed.FS
