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
  my $made = 'made by migrator for a rule';
  # Fields a rule asks for, with their kinds; they apply everywhere.
  my $helped = sub {
    my $fields = shift || {};
    for my $name (sort keys %$fields) {
      my $of = 'RT::Queue-RT::Ticket';
      my $one = RT::CustomField->new(RT->SystemUser);
      $one->LoadByCols(Name => $name, LookupType => $of);
      if ($one->id) { $one->SetDisabled(0) if $one->Disabled and ($one->Description // '') eq $made; next }
      my ($type, $most) = split /-/, $fields->{$name};
      my ($id, $said) = $one->Create(Name => $name, Type => $type, MaxValues => $most, LookupType => $of,
        Description => $made);
      die "the field '$name' was not made: $said\n" unless $id;
      my $ok;
      ($ok, $said) = $one->AddToObject(RT::Queue->new(RT->SystemUser));
      die "the field '$name' does not apply: $said\n" unless $ok;
    }
  };
  # A name that nothing else of this class has: two rules may be called the same.
  my $free = sub {
    my ($class, $name, %by) = @_;
    for my $n (1 .. 1000) {
      my $try = $n == 1 ? $name : "$name $n";
      my $one = "RT::$class"->new(RT->SystemUser);
      $one->LoadByCols(Name => $try, %by);
      return $try unless $one->id;
    }
    die "there are too many called '$name'\n";
  };
  my $texted = sub {
    my $row = shift;
    my $one = RT::Template->new(RT->SystemUser);
    my $name = $free->('Template', $row->{Template}, Queue => 0);
    my ($id, $said) = $one->Create(Queue => 0, Name => $name, Description => $made, Type => 'Perl',
      Content => $row->{Text});
    die "the template '$name' was not made: $said\n" unless $id;
    return $one;
  };
  # A queue's people are in the group of its name (teams.py), which its first member makes, or whoever writes to it.
  my $people = sub {
    my $one = RT::Group->new(RT->SystemUser);
    $one->LoadUserDefinedGroup($_[0]);
    return $one if $one->id;
    my ($id, $said) = $one->CreateUserDefinedGroup(Name => $_[0], Description => "People of $_[0]");
    die "the group '$_[0]' was not made: $said\n" unless $id;
    return $one;
  };
  my $addressed = sub {
    my $row = shift;
    my @to = map {
      my ($what, $id) = split / /, $_, 2;
      $_ eq 'all agents' ? $holder->('system: Privileged')->id
        : $what eq 'user' ? $loaded->('User', id => $id)->PrincipalId
        : $_ =~ /^queue people:(\d+)$/ ? $loaded->('Group', id => $1)->PrincipalId
        : $what eq 'queue' ? $people->($loaded->('Queue', id => $id)->Name)->PrincipalId
        : die "nobody here knows '$_'\n";
    } @{ $row->{To} };
    my $one = RT::ScripAction->new(RT->SystemUser);
    my $name = $free->('ScripAction', $row->{Action});
    my ($id, $said) = $one->Create(Name => $name, Description => $made, ExecModule => 'NotifyGroup',
      Argument => join(', ', @to, 'AlwaysNotifyActor'));
    die "the action '$name' was not made: $said\n" unless $id;
    return $one;
  };
  # What a scrip was made with, and nothing else uses.
  my $unused = sub {
    my ($template, $action) = @_;
    for my $one ($template, $action) {
      next unless $one and $one->id and ($one->Description // '') eq $made;
      my ($ok, $said) = $one->Delete;
      print STDERR "left in place: $said\n" unless $ok;
    }
    my $fields = RT::CustomFields->new(RT->SystemUser);
    $fields->Limit(FIELD => 'Description', VALUE => $made);
    while (my $field = $fields->Next) {
      my $scrips = RT::Scrips->new(RT->SystemUser);
      $scrips->{'find_disabled_rows'} = 1;
      $scrips->UnLimit;
      my $name = "'" . $field->Name . "'";
      my $all = join "\n", map { ($_->CustomIsApplicableCode // '', $_->CustomCommitCode // '') }
        @{ $scrips->ItemsArrayRef };
      next if index($all, $name) >= 0;
      $field->SetDisabled(1);
    }
  };
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
      my (@with, $template);
      $helped->($row->{Helpers});
      if ($row->{Rule} and defined $row->{Text}) {
        push @with, $texted->($row);
        $template = $with[-1]->Name;
      }
      if ($row->{Rule} and @{ $row->{To} || [] }) {
        push @with, $addressed->($row);
        $row->{Action} = $with[-1]->Name;
      }
      my ($first, @others) = map { $queue->($_) } @{ $row->{Scopes} || [] };
      my $one = RT::Scrip->new(RT->SystemUser);
      my $stage = $row->{Stage} || 'TransactionCreate';
      my ($id, $said) = $one->Create(Queue => $first || 0, Stage => $stage, Disabled => 1,
        Template => $template // $row->{Template},
        ScripCondition => $row->{Condition}, ScripAction => $row->{Action},
        map { $_ => $row->{$_} } qw(Description CustomIsApplicableCode CustomPrepareCode CustomCommitCode));
      $_->Delete for $id ? () : @with;
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
      $helped->($row->{Helpers});
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
      my @with = $row->{act} eq 'delete' && $row->{stream} eq 'scrips' ? ($one->TemplateObj(0), $one->ActionObj) : ();
      # RT keeps what a search has said, also when it is gone.
      my @past = $row->{act} eq 'delete' && $row->{stream} eq 'searches' ? @{ $one->Attributes->ItemsArrayRef || [] } : ();
      my ($done, $why) = $row->{act} eq 'delete' ? $one->Delete : $one->SetDisabled($row->{act} eq 'off' ? 1 : 0);
      $unused->(@with) if $done and @with;
      $_->Delete for $done ? @past : ();
      return ($done ? $row->{id} : 0, $why);
    };
    my $failed = $@;
    chomp $failed;
    print STDOUT "\nmigrator-done: ", $json->encode([$n, $id ? "$id" : undef, $failed || "$said"]), "\n";
  }
}); 1;
