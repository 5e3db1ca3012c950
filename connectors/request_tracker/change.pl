# Makes, takes away or switches what the rows say, for migrator (customizations.py). MIGRATOR_ROWS is base64 of JSON.
@Final = (sub {
  use JSON (); use MIME::Base64 ();
  my $json = JSON->new->ascii->canonical;
  my $rows = JSON->new->utf8->decode(MIME::Base64::decode_base64('MIGRATOR_ROWS'));
  my $loaded = sub {
    my ($class, %by) = @_;
    my $one = "RT::$class"->new(RT->SystemUser);
    $one->LoadByCols(%by);
    die "there is no $class '" . join(' ', values %by) . "' at the destination\n" unless $one->id;
    return $one;
  };
  my $user = sub {
    my $name = shift;
    my $one = RT::User->new(RT->SystemUser);
    $one->LoadByEmail($name);
    $one->LoadByCols(Name => $name) unless $one->id;
    die "there is no user '$name' at the destination\n" unless $one->id;
    return $one;
  };
  my $group = sub {
    my $one = RT::Group->new(RT->SystemUser);
    $one->LoadUserDefinedGroup($_[0]);
    die "there is no group of people '$_[0]' at the destination\n" unless $one->id;
    return $one;
  };
  my $scope = sub {
    my $text = shift // 'everything';
    return RT->System if $text eq 'everything';
    my ($what, $name) = split /: /, $text, 2;
    return $loaded->('Queue', Name => $name) if $what eq 'queue';
    return $loaded->('Class', Name => $name) if $what eq 'class';
    return $loaded->('Catalog', Name => $name) if $what eq 'catalog';
    return $loaded->('CustomField', Name => $name) if $what eq 'custom field';
    return $group->($name) if $what eq 'group';
    return $user->($name) if $what eq 'user';
    die "nobody here knows '$text'\n";
  };
  my $holder = sub {
    my ($text, $object) = @_;
    my ($what, $name) = split /: /, $text, 2;
    return $user->($name)->PrincipalObj if $what eq 'user';
    return $group->($name)->PrincipalObj if $what eq 'group';
    my $one = RT::Group->new(RT->SystemUser);
    $one->LoadSystemInternalGroup($name) if $what eq 'system';
    $one->LoadRoleGroup(Object => $object, Name => $name) if $what eq 'role';
    die "there is no '$text' at the destination\n" unless $one->id;
    return $one->PrincipalObj;
  };
  my $queue = sub { my $of = $scope->($_[0]); return $of->isa('RT::Queue') ? $of->id : 0 };
  my %make = (
    templates => sub {
      my $row = shift;
      my $one = RT::Template->new(RT->SystemUser);
      my ($id, $said) = $one->Create(Queue => $queue->($row->{Scope}),
        map { $_ => $row->{$_} // '' } qw(Name Description Type Content));
      return ($id, $said);
    },
    scrips => sub {
      my $row = shift;
      my ($first, @others) = map { $queue->($_) } @{ $row->{Scopes} || [] };
      my $one = RT::Scrip->new(RT->SystemUser);
      my $stage = $row->{Stage} || 'TransactionCreate';
      my ($id, $said) = $one->Create(Queue => $first || 0, Stage => $stage, Disabled => 1, Template => $row->{Template},
        ScripCondition => $row->{Condition}, ScripAction => $row->{Action},
        map { $_ => $row->{$_} } qw(Description CustomIsApplicableCode CustomPrepareCode CustomCommitCode));
      return ($id, $said) unless $id;
      $one->RemoveFromObject(0) unless defined $first;
      $one->AddToObject(ObjectId => $_, Stage => $stage) for @others;
      return ($id, $said);
    },
    rights => sub {
      my $row = shift;
      my $object = $scope->($row->{Scope});
      return $holder->($row->{Holder}, $object)->GrantRight(Right => $row->{Right}, Object => $object);
    },
    searches => sub {
      my $row = shift;
      my $more = $json->decode($row->{More} || '{}');
      my $old = ($row->{Name} // '') =~ /^Search - /;
      return $scope->($row->{Scope})->AddAttribute(Name => $old ? $row->{Name} : 'SavedSearch',
        Description => $old ? $row->{Name} =~ s/^Search - //r : $row->{Name},
        Content => { ($old ? () : (SearchType => 'Ticket')), %$more, map { $_ => $row->{$_} } grep { defined $row->{$_} }
          qw(Query Format OrderBy Order) });
    },
  );
  my %class = (templates => 'Template', scrips => 'Scrip', rights => 'ACE', searches => 'Attribute');
  for my $n (0 .. $#$rows) {
    my $row = $rows->[$n];
    my ($id, $said) = eval {
      return $make{$row->{stream}}->($row) if $row->{act} eq 'create';
      my $one = "RT::$class{$row->{stream}}"->new(RT->SystemUser);
      $one->LoadById($row->{id});
      return ($row->{id}, 'gone') if $row->{act} eq 'delete' and not $one->id;
      die "it is no longer there\n" unless $one->id;
      my ($done, $why) = $row->{act} eq 'delete' ? $one->Delete : $one->SetDisabled($row->{act} eq 'off' ? 1 : 0);
      return ($done ? $row->{id} : 0, $why);
    };
    my $failed = $@;
    chomp $failed;
    print STDOUT "\nmigrator-done: ", $json->encode([$n, $id ? "$id" : undef, $failed || "$said"]), "\n";
  }
}); 1;
