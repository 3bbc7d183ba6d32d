backend "farm" {
  server "a" "${var.host}:80" {}
}
