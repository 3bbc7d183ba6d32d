backend "farm" {
  nonsense = 1
  server "a" "10.0.0.1:80" { cookie = "A" weight = 2 }
}
backend "hidden" {
