<?php
// Uploads pictures as PHP programs do: `php send.php LIBRARY URL FILE...`. Prints the library's version, then the answer.

[, $library, $url] = $argv;
$paths = array_slice($argv, 3);
$fields = ['metadata' => '{"order": "Tür 7"}', 'model' => '', 'no_cache' => 'True'];

switch ($library) {
    case 'curl':
        // PHP's arrays have no repeated names, so each file has a number of its own
        foreach ($paths as $number => $path) {
            $fields["files[$number]"] = new CURLFile($path, 'image/png', basename($path));
        }
        $curl = curl_init($url);
        curl_setopt_array($curl, [CURLOPT_POSTFIELDS => $fields, CURLOPT_RETURNTRANSFER => true]);
        echo 'PHP ', PHP_VERSION, ', libcurl ', curl_version()['version'], "\n", curl_exec($curl);
        break;
    case 'guzzle':
        require 'GuzzleHttp/autoload.php';
        $parts = [];
        foreach ($fields as $name => $contents) {
            $parts[] = ['name' => $name, 'contents' => $contents];
        }
        foreach ($paths as $path) {
            $parts[] = ['name' => 'files[]', 'contents' => fopen($path, 'r'), 'filename' => basename($path)];
        }
        $answer = (new GuzzleHttp\Client(['http_errors' => false]))->post($url, ['multipart' => $parts]);
        echo 'Guzzle ', GuzzleHttp\ClientInterface::MAJOR_VERSION, ', PHP ', PHP_VERSION, "\n", $answer->getBody();
        break;
    case 'symfony':
        require 'Symfony/Component/HttpClient/autoload.php';
        require 'Symfony/Component/Mime/autoload.php';
        $fields['files'] = array_map(fn ($path) => Symfony\Component\Mime\Part\DataPart::fromPath($path), $paths);
        $form = new Symfony\Component\Mime\Part\Multipart\FormDataPart($fields);
        $answer = Symfony\Component\HttpClient\HttpClient::create()->request('POST', $url, [
            'headers' => $form->getPreparedHeaders()->toArray(),
            'body' => $form->bodyToIterable(),
        ]);
        echo 'Symfony Mime, PHP ', PHP_VERSION, "\n", $answer->getContent(false);
        break;
    case 'stream':
        // without an extension: the body is written by hand and sent by PHP's own stream
        $boundary = '----' . bin2hex(random_bytes(12));
        $body = '';
        foreach ($fields as $name => $contents) {
            $body .= "--$boundary\r\nContent-Disposition: form-data; name=\"$name\"\r\n\r\n$contents\r\n";
        }
        foreach ($paths as $path) {
            $name = addcslashes(basename($path), '"\\');
            $body .= "--$boundary\r\nContent-Disposition: form-data; name=\"files[]\"; filename=\"$name\"\r\n"
                . "Content-Type: image/png\r\n\r\n" . file_get_contents($path) . "\r\n";
        }
        $options = ['method' => 'POST', 'header' => "Content-Type: multipart/form-data; boundary=$boundary",
            'content' => "$body--$boundary--\r\n", 'ignore_errors' => true];
        echo 'PHP ', PHP_VERSION, "\n", file_get_contents($url, false, stream_context_create(['http' => $options]));
        break;
}
