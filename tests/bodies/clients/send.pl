# Uploads pictures as Perl programs do: `perl send.pl LIBRARY URL FILE...`. Prints the library's version, then the answer.
use strict;
use warnings;

my ($library, $url, @paths) = @ARGV;
my @fields = (metadata => '{"order": "Tür 7"}', model => '', no_cache => 1);

if ($library eq 'lwp') {
    require LWP::UserAgent;
    require HTTP::Request::Common;
    my @form = (@fields, map { (files => [$_]) } @paths);
    my $request = HTTP::Request::Common::POST($url, Content_Type => 'form-data', Content => \@form);
    print "LWP $LWP::UserAgent::VERSION\n", LWP::UserAgent->new->request($request)->content;
}
elsif ($library eq 'mojo') {
    require Mojolicious;
    require Mojo::UserAgent;
    require Encode;
    # Mojolicious takes characters, and would read the bytes of a path as such
    my %form = map { Encode::decode('UTF-8', $_) } @fields;
    $form{files} = [map { { file => $_, filename => Encode::decode('UTF-8', name_of($_)) } } @paths];
    print "Mojolicious $Mojolicious::VERSION\n", Mojo::UserAgent->new->post($url, form => \%form)->res->body;
}
elsif ($library eq 'http-tiny') {
    require HTTP::Tiny;
    require HTTP::Tiny::Multipart;
    my %form = @fields;
    $form{files} = [map { file($_) } @paths];
    print "HTTP::Tiny::Multipart $HTTP::Tiny::Multipart::VERSION\n",
        HTTP::Tiny->new->post_multipart($url, \%form)->{content};
}

sub file {
    my ($path) = @_;
    open my $handle, '<:raw', $path or die "$path: $!";
    local $/;
    return { filename => name_of($path), content => scalar <$handle>, content_type => 'image/png' };
}

sub name_of { return $_[0] =~ m{([^/]+)\z} ? $1 : '' }
