# Uploads pictures as Ruby programs do: `ruby send.rb LIBRARY URL FILE...`. Prints the library's version, then the answer.
library, url, *paths = ARGV
fields = { "metadata" => '{"order": "Tür 7"}', "model" => "", "no_cache" => true }

case library
when "net-http"
  require "net/http"
  uri = URI(url)
  request = Net::HTTP::Post.new(uri)
  form = fields.map { |name, value| [name, value.to_s] } + paths.map { |path| ["files[]", File.open(path)] }
  request.set_form(form, "multipart/form-data")
  answer = Net::HTTP.start(uri.host, uri.port) { |http| http.request(request) }
  puts "Ruby #{RUBY_VERSION}", answer.body
when "rest-client"
  require "rest-client"
  files = paths.map { |path| File.open(path) }
  answer = RestClient.post(url, fields.merge("files" => files)) { |response| response }
  puts "rest-client #{RestClient::VERSION}", answer.body
when "faraday"
  require "faraday"
  connection = Faraday.new do |builder|
    builder.request :multipart
    builder.adapter :net_http
  end
  files = paths.map { |path| Faraday::FilePart.new(path, "image/png") }
  answer = connection.post(url, fields.merge("files" => files))
  puts "faraday #{Faraday::VERSION}, multipart-post", answer.body
when "http.rb"
  require "http"
  files = paths.map { |path| HTTP::FormData::File.new(path) }
  answer = HTTP.post(url, form: fields.merge("files[]" => files))
  puts "http.rb #{HTTP::VERSION}", answer.body
when "httparty"
  require "httparty"
  answer = HTTParty.post(url, body: fields.merge("files" => paths.map { |path| File.open(path) }))
  puts "httparty #{HTTParty::VERSION}", answer.body
when "httpclient"
  require "httpclient"
  form = fields.map { |name, value| [name, value.to_s] } + paths.map { |path| ["files", File.open(path)] }
  answer = HTTPClient.new.post(url, form)
  puts "httpclient #{HTTPClient::VERSION}", answer.body
when "typhoeus"
  require "typhoeus"
  answer = Typhoeus.post(url, body: fields.merge("files" => paths.map { |path| File.open(path) }))
  puts "typhoeus #{Typhoeus::VERSION}", answer.body
end
